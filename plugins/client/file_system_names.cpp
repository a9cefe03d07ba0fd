// SPDX-License-Identifier: Apache-2.0
// Names: looking them up (from the cache where it knows), making, linking, removing, renaming, listing.
#include "plugins/client/file_system_impl.hpp"
#include "plugins/client/open_names.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

// Of an inode whose attributes are known here.
Task<Status> FileSystem::Impl::check_access(fs::Caller& caller, NodeRef node, std::uint32_t want) {
  Status status = fs::check_access(caller, node->inode, want);
  if (fs::groups_wanted(status)) {
    co_await meta.fetch_groups(caller);
    status = fs::check_access(caller, node->inode, want);
  }
  co_return status;
}

// Something that all could walk over became closed to some. When this ended, whoever caches above asks again.
Task<> FileSystem::Impl::expire_names() {
  if (kernel == nullptr) co_return;
  kernel->expire_names();
  co_await kernel->settle();
}

Task<Result<fs::Inode>> FileSystem::Impl::lookup(fs::Caller& caller, fs::InodeId parent, const std::string& name,
                                                 std::uint64_t asked) {
  if (name == "." || name == "..") {
    auto result = co_await lookup_dots(parent, name.size() == 2, asked);
    co_return result;
  }
  // What the name meant may go before all was asked about it: then it means something else.
  constexpr int kTries = 8;
  for (int tries = 1;; ++tries) {
    bool gone = false;
    auto result = co_await lookup_once(caller, parent, name, asked, gone);
    if (!gone || tries == kTries) co_return result;
  }
}

Task<Result<fs::Inode>> FileSystem::Impl::lookup_once(fs::Caller& caller, fs::InodeId parent, const std::string& name,
                                                      std::uint64_t asked, bool& gone) {
  NodeRef directory = inodes.get(parent);
  // Where others change the directory all the time, no lock of it comes, and the server decides about everything.
  if (!directory->valid && runtime.now_ns() < directory->lock.contended_until_ns) {
    auto result = co_await ask_lookup(caller, directory, name, asked, gone);
    co_return result;
  }
  // Also when the server has to be asked for the name: who may search decides for how long the kernel may keep it.
  const Status there = co_await know(directory, false);
  if (!there.ok()) co_return there;
  if (!directory->inode.is_directory()) co_return posix_error(ENOTDIR);
  if (directory->valid) {
    const Status allowed = co_await check_access(caller, directory, fs::kWantExecute);
    if (!allowed.ok()) co_return allowed;
    if (name.size() > limits::kNameBytesMax) co_return posix_error(ENAMETOOLONG);
    const std::optional<fs::InodeId> known = names.find(parent, name, directory->lock.stamp);
    if (known == fs::kNoInode || (!known && directory->names_complete)) co_return posix_error(ENOENT);
    Node* node = known ? inodes.find(*known) : nullptr;
    if (node != nullptr && node->valid) {
      NodeRef pinned(*node);
      auto result = co_await attributes(pinned->inode.id, asked);
      gone = errno_of(result.status()) == ESTALE;
      co_return result;
    }
  }
  auto result = co_await ask_lookup(caller, directory, name, asked, gone);
  co_return result;
}

Task<Result<fs::Inode>> FileSystem::Impl::lookup_dots(fs::InodeId directory, bool parent, std::uint64_t asked) {
  NodeRef node = inodes.get(directory);
  const Status status = co_await know(node, false);
  if (!status.ok()) co_return status;
  if (parent && !node->inode.is_directory()) co_return posix_error(ENOTDIR);
  const bool other = parent && node->inode.parent != fs::kNoInode;
  auto result = co_await attributes(other ? node->inode.parent : directory, asked);
  co_return result;
}

Task<Result<fs::Inode>> FileSystem::Impl::ask_lookup(fs::Caller& caller, NodeRef directory, const std::string& name,
                                                     std::uint64_t asked, bool& gone) {
  fs::LookupRequest request;
  request.caller = caller;
  request.parent = directory->inode.id;
  request.name = name;
  const std::uint64_t changes = directory->name_changes;
  const std::uint64_t stamp = names_stamp(*directory);
  const auto reply = co_await meta.lookup(request);
  // An answer that may be older than a change made here meanwhile is good for this caller, but not for later ones; nor
  // is one that was given while the directory's lock was not held.
  const bool keep = stamp != 0 && stamp == names_stamp(*directory) && changes == directory->name_changes &&
                    directory->name_changes_running == 0;
  if (!reply.ok()) {
    if (keep && errno_of(reply.status) == ENOENT) put_name(*directory, name, fs::kNoInode, 0);
    co_return reply.status;
  }
  NodeRef node = learn(reply.body.inode);
  if (keep) put_name(*directory, name, node->inode.id, 0);
  const fs::Inode& answer = reply.body.inode;
  const bool complete = (answer.flags & fs::kExact) != 0 && answer.change == node->transaction;
  if (!node->valid && answer.lock == 0 && complete) {
    fs::Inode told = answer;  // good for this once
    told.flags |= kAttributesOnce;
    co_return told;
  }
  const Status status = co_await know(node, true);
  gone = errno_of(status) == ESTALE;
  if (!status.ok()) co_return status;
  co_return tell(*node, asked);
}

std::uint64_t FileSystem::Impl::names_stamp(const Node& directory) {
  return directory.lock.mode != Mode::none ? directory.lock.stamp : 0;
}

// What a name means while the lock of its directory is held as it is now.
void FileSystem::Impl::put_name(Node& directory, std::string_view name, fs::InodeId inode, std::uint64_t transaction) {
  if (directory.lock.mode == Mode::none) return;
  names.put(directory.inode.id, name, inode, directory.lock.stamp, transaction);
}

NodeRef FileSystem::Impl::begin_name_change(fs::InodeId directory) {
  NodeRef node = inodes.get(directory);
  ++node->name_changes;
  ++node->name_changes_running;
  return node;
}

void FileSystem::Impl::end_name_change(NodeRef& directory) {
  RIDEAU_ASSERT(directory->name_changes_running > 0);
  --directory->name_changes_running;
}

Task<MetaReply<fs::MakeReply>> FileSystem::Impl::make(fs::MakeRequest& request) {
  NodeRef directory = begin_name_change(request.parent);
  request.knows_inline = true;
  MetaReply<fs::MakeReply> reply = co_await meta.make(request);
  end_name_change(directory);
  if (!reply.ok()) {
    names.forget(request.parent, request.name);
    co_return reply;
  }
  const bool covered = take_grant(*directory, reply.body.parent.lock);
  learn(reply.body.parent);
  NodeRef node = learn(reply.body.inode);
  node->transaction = std::max(node->transaction, reply.transaction);
  if (covered && !request.name.empty()) put_name(*directory, request.name, node->inode.id, reply.transaction);
  // Nobody but this client can put a name into a new directory while it has the lock.
  if (node->valid && node->inode.is_directory()) node->names_complete = true;
  co_return reply;
}

Task<Result<fs::Inode>> FileSystem::Impl::link(fs::LinkRequest& request, std::uint64_t asked) {
  NodeRef directory = begin_name_change(request.parent);
  const std::uint64_t stamp = names_stamp(*directory);
  const auto reply = co_await meta.link(request);
  end_name_change(directory);
  directory->valid = false;  // its times changed, and the answer does not tell
  if (!reply.ok()) {
    names.forget(request.parent, request.name);
    co_return reply.status;
  }
  NodeRef node = learn(reply.body.inode);
  node->nameless = false;
  node->transaction = std::max(node->transaction, reply.transaction);
  directory->transaction = std::max(directory->transaction, reply.transaction);
  if (stamp != 0 && stamp == names_stamp(*directory)) {
    put_name(*directory, request.name, node->inode.id, reply.transaction);
  }
  // Whatever comes of this, the name is there.
  const Status status = co_await know(node, true);
  co_return tell_change(*node, reply.body.inode, status, asked);
}

// Of a file that lost a name.
void FileSystem::Impl::forget_data(const fs::Inode& inode, bool destroyed) {
  if (destroyed) {
    plane.forget(inode.id);
  } else if (inode.link_count == 0) {
    plane.lost_last_name(inode.id);
  }
}

Task<Status> FileSystem::Impl::remove(fs::RemoveRequest& request) {
  NodeRef directory = begin_name_change(request.parent);
  const std::optional<fs::InodeId> meant = names.find(request.parent, request.name, names_stamp(*directory));
  Node* found = meant ? inodes.find(*meant) : nullptr;
  NodeRef victim = found != nullptr ? NodeRef(*found) : NodeRef();
  if (victim && victim->kept_open != 0) {
    request.kept_open = std::exchange(victim->kept_open, 0);
    --kept_opens;
  }
  const std::uint64_t before = epoch;
  const auto reply = co_await meta.remove(request);
  end_name_change(directory);
  const bool ended = reply.ok() && victim && reply.body.inode.id == victim->inode.id;
  if (request.kept_open != 0 && !ended && epoch == before) close_kept(*victim, request.kept_open);
  if (!reply.ok()) {
    names.forget(request.parent, request.name);
    co_return reply.status;
  }
  if (take_grant(*directory, reply.body.parent.lock)) {
    put_name(*directory, request.name, fs::kNoInode, reply.transaction);
  }
  learn(reply.body.parent);
  if (reply.body.inode.id != fs::kNoInode) {
    NodeRef node = learn(reply.body.inode);
    node->transaction = std::max(node->transaction, reply.transaction);
    forget_data(reply.body.inode, reply.body.destroyed);
  }
  co_return kOk;
}

Task<Status> FileSystem::Impl::rename(fs::RenameRequest& request) {
  NodeRef old_directory = begin_name_change(request.old_parent);
  NodeRef new_directory = begin_name_change(request.new_parent);
  const auto reply = co_await meta.rename(request);
  end_name_change(old_directory);
  end_name_change(new_directory);
  if (!reply.ok()) {
    names.forget(request.old_parent, request.old_name);
    names.forget(request.new_parent, request.new_name);
    co_return reply.status;
  }
  const fs::RenameReply& body = reply.body;
  const bool old_covered = take_grant(*old_directory, body.old_parent.lock);
  const bool new_covered = take_grant(*new_directory, body.new_parent.lock);
  learn(body.old_parent);
  learn(body.new_parent);
  if (body.inode.id != fs::kNoInode) {
    NodeRef moved = learn(body.inode);
    moved->transaction = std::max(moved->transaction, reply.transaction);
  }
  const bool exchanged = (request.flags & fs::kRenameExchange) != 0;
  if (body.replaced.id != fs::kNoInode && body.replaced.id != body.inode.id) {
    NodeRef replaced = learn(body.replaced);
    replaced->transaction = std::max(replaced->transaction, reply.transaction);
    forget_data(body.replaced, body.destroyed);
  }
  // Two names of one inode: rename does nothing then (POSIX), and both stay.
  const bool same_inode = body.replaced.id == body.inode.id && !exchanged;
  const fs::InodeId at_old = exchanged ? body.replaced.id : fs::kNoInode;
  if (same_inode || (exchanged && at_old == fs::kNoInode)) {
    names.forget(request.old_parent, request.old_name);
  } else if (old_covered) {
    put_name(*old_directory, request.old_name, at_old, reply.transaction);
  }
  if (same_inode || (request.old_parent == request.new_parent && request.old_name == request.new_name)) {
    names.forget(request.new_parent, request.new_name);
  } else if (new_covered) {
    put_name(*new_directory, request.new_name, body.inode.id, reply.transaction);
  }
  // A name that the kernel kept has come to where it must not keep any.
  const bool from_open = open_to_all(body.old_parent);
  const bool to_open = open_to_all(body.new_parent);
  const bool moved_wrongly = !new_covered || (from_open && !to_open);
  const bool exchanged_wrongly = exchanged && (!old_covered || (to_open && !from_open));
  if (moved_wrongly || exchanged_wrongly) co_await expire_names();
  co_return kOk;
}

Task<Result<std::vector<fs::DirectoryEntry>>> FileSystem::Impl::read_directory(
    fs::InodeId directory_id, fs::Cookie after, std::uint32_t entries_max, bool with_attributes, std::uint64_t asked) {
  NodeRef directory = inodes.get(directory_id);
  const std::uint32_t dots = after < fs::kCookieDot ? 2 : after < fs::kCookieDotDot ? 1 : 0;
  fs::ReadDirectoryRequest request;
  request.directory = directory_id;
  request.after = dots != 0 ? fs::kCookieStart : after;
  request.entries_max = entries_max > dots ? entries_max - dots : 1;
  request.attributes = with_attributes;
  const std::uint64_t changes = directory->name_changes;
  const std::uint64_t stamp = names_stamp(*directory);
  auto reply = co_await meta.read_directory(request);
  if (!reply.ok()) co_return reply.status;
  const bool keep = stamp != 0 && stamp == names_stamp(*directory) && changes == directory->name_changes &&
                    directory->name_changes_running == 0;

  std::vector<fs::DirectoryEntry> entries;
  entries.reserve(reply.body.entries.size() + dots);
  const auto add_dot = [&entries](fs::Cookie cookie, const char* name, fs::InodeId inode) {
    fs::DirectoryEntry entry;
    entry.cookie = cookie;
    entry.inode = inode;
    entry.type = S_IFDIR;
    entry.name = name;
    entries.push_back(std::move(entry));
  };
  if (dots == 2) add_dot(fs::kCookieDot, ".", directory_id);
  if (dots >= 1) add_dot(fs::kCookieDotDot, "..", reply.body.parent != fs::kNoInode ? reply.body.parent : directory_id);
  for (fs::DirectoryEntry& entry : reply.body.entries) {
    if (entry.attributes.id != fs::kNoInode) {
      NodeRef node = learn(entry.attributes);
      if (keep) put_name(*directory, entry.name, entry.inode, 0);
      // The size of a file that somebody writes is asked for when it is wanted.
      entry.attributes = node->valid && node->size_known ? tell(*node, asked) : fs::Inode{};
    }
    entries.push_back(std::move(entry));
  }
  if (entries.size() > std::max(entries_max, 1u)) entries.resize(std::max(entries_max, 1u));
  co_return entries;
}

// The calls of the interface.

Task<Result<fs::Inode>> FileSystem::lookup(fs::Caller caller, fs::InodeId parent, std::string name) {
  const std::uint64_t asked = impl_->expiries;
  auto result = co_await impl_->lookup(caller, parent, name, asked);
  co_return result;
}

Task<Result<fs::Inode>> FileSystem::make(fs::Caller caller, fs::InodeId parent, std::string name, std::uint32_t mode,
                                         std::uint64_t device, std::string symlink_target) {
  const std::uint64_t asked = impl_->expiries;
  fs::MakeRequest request;
  request.caller = std::move(caller);
  request.parent = parent;
  request.name = name;
  request.mode = mode;
  request.device = device;
  request.symlink_target = symlink_target;
  const auto reply = co_await impl_->make(request);
  Result<fs::Inode> result = reply.status.ok() ? Result<fs::Inode>(reply.body.inode) : Result<fs::Inode>(reply.status);
  if (result.ok()) {
    Node* node = impl_->inodes.find(reply.body.inode.id);
    if (node != nullptr && node->valid) {
      result = impl_->tell(*node, asked);
    } else {
      result->flags |= kAttributesOnce;
    }
  }
  co_return result;
}

Task<Result<fs::Inode>> FileSystem::link(fs::Caller caller, fs::InodeId inode, fs::InodeId parent, std::string name,
                                         bool guarded) {
  const std::uint64_t asked = impl_->expiries;
  fs::LinkRequest request;
  request.caller = std::move(caller);
  request.inode = inode;
  request.parent = parent;
  request.name = name;
  request.guarded = guarded;
  auto result = co_await impl_->link(request, asked);
  co_return result;
}

Task<Status> FileSystem::remove(fs::Caller caller, fs::InodeId parent, std::string name, bool directory) {
  fs::RemoveRequest request;
  request.caller = std::move(caller);
  request.parent = parent;
  request.name = name;
  request.directory = directory;
  const Status status = co_await impl_->remove(request);
  co_return status;
}

Task<Status> FileSystem::rename(fs::Caller caller, fs::InodeId old_parent, std::string old_name, fs::InodeId new_parent,
                                std::string new_name, std::uint32_t flags) {
  fs::RenameRequest request;
  request.caller = std::move(caller);
  request.old_parent = old_parent;
  request.old_name = old_name;
  request.new_parent = new_parent;
  request.new_name = new_name;
  request.flags = flags;
  const Status status = co_await impl_->rename(request);
  co_return status;
}

Task<Result<std::string>> FileSystem::read_link(fs::InodeId inode) {
  auto reply = co_await impl_->meta.read_link(inode);
  if (!reply.ok()) co_return reply.status;
  co_return std::move(reply.body.target);
}

Task<Result<std::vector<fs::DirectoryEntry>>> FileSystem::read_directory(fs::InodeId directory, fs::Cookie after,
                                                                         std::uint32_t entries_max, bool attributes) {
  const std::uint64_t asked = impl_->expiries;
  auto result = co_await impl_->read_directory(directory, after, entries_max, attributes, asked);
  co_return result;
}

}  // namespace rideau::client
