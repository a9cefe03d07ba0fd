// SPDX-License-Identifier: Apache-2.0
// Attributes: from the cache where they are known, sizes from the objects where the record is not exact, changes at the
// metadata server; extended attributes.
#include "framework/base/sim_hooks.hpp"
#include "plugins/client/file_system_impl.hpp"
#include "plugins/client/open_names.hpp"
#include "plugins/fs/layout_text.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

// Has the attributes of a node in it, its size too when asked: of this moment, and for as long as the lock is held
// where one came with them.
Task<Status> FileSystem::Impl::know(NodeRef node, bool size) {
  const fs::InodeId id = node->inode.id;
  const std::uint64_t before = epoch;
  const std::uint64_t failures = node->lock.failures;
  bool learned = false;
  std::uint64_t asked_under = 0;  // which holding of the lock
  for (;;) {
    // Of a file in parts the objects are asked only after others were asked under the same share: then nobody is in the
    // middle of a cut.
    const bool asks_first = size && node->lock.divided && !node->size_known && asked_under != node->lock.stamp;
    if (!node->valid || asks_first) {
      asked_under = node->lock.mode != Mode::none ? node->lock.stamp : 0;
      const auto reply = co_await meta.get_attributes(id);
      if (!reply.ok()) co_return reply.status;
      if (reply.body.inode.id != id) co_return Status{Code::invalid, 0, "attributes of another inode"};
      if (epoch != before) co_return Status{Code::closed, 0, "the metadata server restarted"};
      learn(reply.body.inode);
    }
    if (!learned && !plane.knows(node->inode.layout)) {
      learned = true;
      co_await learn_targets();
      if (epoch != before) co_return Status{Code::closed, 0, "the metadata server restarted"};
      continue;
    }
    if (!size || node->size_known || !node->inode.is_regular()) co_return kOk;
    // The record is not exact and nobody here wrote the file: its last writer did not come to tell. The objects know;
    // they keep still as long as the lock is held.
    if (node->lock.mode == Mode::none) {
      if (stopped) co_return Status{Code::closed, 0, "the file system is stopped"};
      want_lock(node, Mode::shared);
      co_await gate_changed.wait();
      if (node->lock.failures != failures) co_return node->lock.failure;
      continue;
    }
    const std::uint64_t stamp = node->lock.stamp;
    if (node->lock.divided && asked_under != stamp) continue;
    if (node->inode.is_inline()) {
      // The server has all there is, and its record was read under the lock.
      if (!node->valid && asked_under != stamp) continue;
      node->size_known = true;
      if (node->writers == 0) {
        mark_changed(*node);
        kick_closes();
      }
      co_return kOk;
    }
    const std::shared_ptr<FileData> data = plane.file(id, node->inode.layout);
    if (!try_follow(*node, *data)) co_await data->adopt(node->inode.layout);
    const auto stat = co_await data->stat_objects();
    if (!stat.ok()) co_return stat.status();
    if (epoch != before) co_return Status{Code::closed, 0, "the metadata server restarted"};
    if (node->lock.mode == Mode::none || node->lock.stamp != stamp || node->size_known) continue;
    // No cut passes the record by, so there is no less than it says: who cut the file may have died before all of its
    // objects knew it durably, and some of them may have lost it.
    const std::uint64_t least = RIDEAU_PLANTED_BUG(asks_objects_alone) ? 0 : node->inode.size;
    node->inode.size = std::max(stat->size, least);
    node->inode.blocks = stat->blocks;
    node->size_known = true;
    if (node->writers == 0) {
      mark_changed(*node);
      kick_closes();
    }
    if (node->valid) co_return kOk;
  }
}

fs::Inode FileSystem::Impl::tell(Node& node, std::uint64_t asked) {
  fs::Inode inode = node.inode;
  // A process takes an answer in when it runs, and an expiry in between makes the kernel throw the answer away. While
  // other clients take the lock again and again, nothing is kept in the kernel, so that nothing has to expire there.
  const NodeLock& lock = node.lock;
  const bool contended = inode.is_regular() && runtime.now_ns() < lock.contended_until_ns;
  if (!node.valid || lock.closing || lock.divided || lock.expired > asked || contended) {
    inode.flags |= kAttributesOnce;
  } else if (kernel != nullptr) {
    node.kernel_attributes = true;
  }
  return inode;
}

fs::Inode FileSystem::Impl::tell_change(Node& node, fs::Inode left, const Status& known, std::uint64_t asked) {
  if (known.ok() && node.valid && node.inode.change == left.change) return tell(node, asked);
  if (known.ok()) {
    left.size = node.inode.size;
    left.blocks = node.inode.blocks;
  }
  left.flags |= kAttributesOnce;
  return left;
}

Task<Result<fs::Inode>> FileSystem::Impl::attributes(fs::InodeId inode, std::uint64_t asked, bool to_read) {
  NodeRef node = inodes.get(inode);
  Status status = co_await know(node, true);
  if (status.ok() && node->lock.divided) {
    // Not in one expression: g++ 12 would wait for both.
    if (to_read) {
      status = co_await ask_size_to_read(node);
    } else {
      status = co_await ask_size(node);
    }
    if (status.ok()) status = co_await know(node, true);
  }
  if (!status.ok()) co_return status;
  co_return tell(*node, asked);
}

// The server refuses another layout for a file that has bytes or may be written: it must have heard what is known here.
Task<Status> FileSystem::Impl::tell_before_layout(fs::InodeId inode) {
  const NodeRef node = inodes.get(inode);
  Status status = co_await know(node, true);
  if (status.ok() && node->inode.is_regular()) status = co_await send_everything();
  co_return status;
}

// A change that does not answer with attributes: they must be asked for again, but what is written here stays known.
void FileSystem::Impl::attributes_changed(fs::InodeId inode, std::uint64_t transaction) {
  NodeRef node = inodes.get(inode);
  node->transaction = std::max(node->transaction, transaction);
  node->valid = false;
}

// The access control list of an inode was changed, and with it perhaps its mode, which the kernel does not know.
Task<> FileSystem::Impl::list_changed(NodeRef node, bool was_open) {
  if (kernel == nullptr) co_return;
  kernel->expire_attributes(node->inode.id);
  if (was_open) {
    const Status known = co_await know(node, false);
    if (!known.ok() || !open_to_all(node->inode)) kernel->expire_names();
  }
  co_await kernel->settle();
}

Task<> FileSystem::Impl::begin_resize(NodeRef node) {
  while (node->lock.tellings != 0 || resizing.contains(node->inode.id)) co_await sent.wait();
  resizing.insert(node->inode.id);
}

void FileSystem::Impl::end_resize(Node& node) {
  resizing.erase(node.inode.id);
  sent.wake_all();
  if (node.changed) kick_closes();
}

// Of a file in parts the cut is durable at once: whoever asks the objects how large it is must not meet one that is
// made again.
Task<Status> FileSystem::Impl::cut_objects(NodeRef node, std::uint64_t old_size, std::uint64_t size) {
  const std::shared_ptr<FileData> data = data_of(*node);
  const Status status = co_await data->truncate(old_size, size);
  constexpr std::uint64_t kBehindAll = lock::kExtentEnd - kExtentBytes;
  if (node->lock.divided) static_cast<void>(co_await data->settle(kBehindAll, lock::kExtentEnd));
  co_return status;
}

// Grown objects come before the record that says so, cut ones after it: a crash in between leaves zeros or bytes beyond
// the end, never bytes that are not there.
Task<MetaReply<fs::InodeReply>> FileSystem::Impl::resize(fs::SetAttributesRequest& request, NodeRef node) {
  const std::uint64_t before = epoch;
  const std::uint64_t old_size = node->inode.size;
  const std::shared_ptr<FileData> data = data_of(*node);
  MetaReply<fs::InodeReply> reply;
  if (!try_follow(*node, *data)) {
    if (!plane.knows(node->inode.layout)) co_await learn_targets();
    co_await data->adopt(node->inode.layout, node->inode.is_inline());
    if (epoch != before) {
      reply.status = rpc::kNeverSent;
      co_return reply;
    }
  }
  if (node->inode.is_inline() && request.size <= node->inode.layout.inline_max) {
    MetaReply<fs::InodeReply> resized = co_await resize_inline(request, node);
    if (resized.status.code != Code::no_space) co_return resized;
    request.bytes = {};
  }
  if (!plane.knows(node->inode.layout)) co_await learn_targets();
  if (node->inode.is_inline()) {
    reply.status = co_await move_out(node, false);
    if (!reply.ok()) co_return reply;
  }
  const bool grows = request.size > old_size;
  if (grows && (node->inode.flags & fs::kUntouched) != 0) {
    // There may be objects from here on, whatever the metadata server says to the change.
    fs::CloseRequest touched;
    touched.items.push_back({node->inode.id, 0, {}});
    const MetaReply<Nothing> told = co_await meta.close(touched);
    reply.status = told.status;
    if (!reply.ok()) co_return reply;
    node->inode.flags &= ~static_cast<std::uint32_t>(fs::kUntouched);
  }
  if (grows) {
    reply.status = co_await data->truncate(old_size, request.size);
    if (!reply.ok()) {
      if (epoch == before) co_await data->cut_failed(request.size, node->inode.size);
      co_return reply;
    }
  }
  if (epoch != before) {
    reply.status = rpc::kNeverSent;
    co_return reply;
  }
  request.bytes.moved_out = node->moved_out;
  reply = co_await meta.set_attributes(request);
  if (reply.ok() && epoch == before && request.bytes.moved_out) node->moved_out = false;
  if (!reply.ok()) {
    if (grows && epoch == before) co_await data->cut_failed(request.size, node->inode.size);
    co_return reply;
  }
  // Done under a session that is gone, and with it the lock: the objects are somebody else's.
  if (epoch != before) {
    reply.status = rpc::kOutcomeUnknown;
    co_return reply;
  }
  learn(reply.body.inode);
  node->inode.size = request.size;
  ++node->cuts;
  // The record does not know what the objects lose with the cut.
  const std::uint64_t whole = (request.size + 4095) / 4096 * 8;
  node->inode.blocks = std::min(reply.body.inode.blocks, whole);
  node->size_known = true;
  ++node->change_count;
  if (node->inode.blocks != reply.body.inode.blocks) {
    mark_changed(*node);
    kick_closes();
  }
  if (!grows) {
    const Status cut = co_await cut_objects(node, old_size, request.size);
    if (!cut.ok()) reply.status = cut;
  }
  co_return reply;
}

Task<Result<fs::Inode>> FileSystem::Impl::set_attributes(fs::SetAttributesRequest& request, std::uint64_t asked) {
  NodeRef node = inodes.get(request.inode);
  bool resizes = (request.mask & fs::kSetSize) != 0;
  if (resizes) {
    if (request.size > limits::kFileBytesMax) co_return posix_error(EFBIG);
    const Status known = co_await know_end(node);
    if (!known.ok()) co_return known;
    resizes = node->inode.is_regular();  // of anything else the server refuses it
  }
  const bool was_open = !node->valid || open_to_all(node->inode);
  const bool sets_mtime = (request.mask & (fs::kSetMtime | fs::kSetMtimeNow)) != 0;
  MetaReply<fs::InodeReply> reply;
  if (resizes) {
    reply = co_await resize(request, node);
  } else {
    reply = co_await meta.set_attributes(request);
  }
  if (!reply.ok()) co_return reply.status;
  learn(reply.body.inode);
  node->transaction = std::max(node->transaction, reply.transaction);
  // What the caller set overrides what writes of before left here.
  if (sets_mtime && node->inode.change == reply.body.inode.change) node->inode.mtime_ns = reply.body.inode.mtime_ns;
  if (was_open && !open_to_all(node->inode)) co_await expire_names();
  // Whatever comes of this, the change is made.
  const Status known = co_await know(node, true);
  co_return tell_change(*node, reply.body.inode, known, asked);
}

Task<Status> FileSystem::access(fs::Caller caller, fs::InodeId inode, std::uint32_t want) {
  NodeRef node = impl_->inodes.get(inode);
  Status status = co_await impl_->know(node, false);
  if (status.ok()) status = co_await impl_->check_access(caller, node, want);
  co_return status;
}

std::uint64_t FileSystem::names_token(fs::InodeId directory, bool of_all) const {
  const Node* node = impl_->inodes.find(directory);
  if (node == nullptr || !node->valid || node->lock.closing) return 0;
  return of_all || open_to_all(node->inode) ? node->lock.stamp : 0;
}

Task<Result<fs::Inode>> FileSystem::get_attributes(fs::InodeId inode, bool to_read) {
  const std::uint64_t asked = impl_->expiries;
  NodeRef node = impl_->inodes.get(inode);
  const Result<unsigned> turn = co_await impl_->enter_attributes(node);
  if (!turn.ok()) co_return turn.status();
  auto result = co_await impl_->attributes(inode, asked, to_read);
  impl_->leave_attributes(*node, *turn);
  co_return result;
}

Task<Result<fs::Inode>> FileSystem::set_attributes(fs::SetAttributesRequest request) {
  const std::uint64_t asked = impl_->expiries;
  // While a file is cut, the kernel holds back the bytes of its mapped pages, and dropping these waits for the answer:
  // so this is a data call.
  const bool resizes = (request.mask & fs::kSetSize) != 0;
  NodeRef node = impl_->inodes.get(request.inode);
  DataCall call({0, lock::kExtentEnd});
  if (resizes) {
    const Status status = co_await impl_->enter(node, true, call);
    if (!status.ok()) co_return status;
    co_await impl_->begin_resize(node);
  }
  auto result = co_await impl_->set_attributes(request, asked);
  if (resizes) impl_->end_resize(*node);
  if (resizes) impl_->leave(*node, call);
  co_return result;
}

namespace {
constexpr std::string_view kCapabilityXattr = "security.capability";
}  // namespace

Status FileSystem::check_attribute_name(std::string_view name) {
  if (name == fs::kLayoutAttribute || fs::names_access_list(name)) return kOk;
  for (const std::string_view served : {"user.", "trusted.", "security."}) {
    if (!name.starts_with(served)) continue;
    if (name.size() == served.size()) return posix_error(EINVAL);
    return name.size() <= limits::kXattrNameBytesMax ? kOk : posix_error(ERANGE);
  }
  return posix_error(EOPNOTSUPP);
}

Task<Result<std::string>> FileSystem::get_attribute(fs::Caller caller, fs::InodeId inode, std::string name) {
  Status status = check_attribute_name(name);
  if (!status.ok()) co_return status;
  if (fs::names_access_list(name)) {
    // Many programs ask for the lists of everything that they show; what there is comes with the attributes.
    NodeRef node = impl_->inodes.get(inode);
    status = co_await impl_->know(node, false);
    if (!status.ok()) co_return status;
    const fs::Inode& known = node->inode;
    if (known.is_symlink()) co_return posix_error(EOPNOTSUPP);
    const bool decides = name == fs::kAccessListXattr;
    if ((known.flags & (decides ? fs::kAccessList : fs::kDefaultList)) == 0) co_return posix_error(ENODATA);
    if (decides && known.access_list != nullptr) co_return fs::format_access_list(*known.access_list);
  }
  // The kernel asks for it before it writes to a file whose attributes it has asked for anew.
  const Node* node = name == kCapabilityXattr ? impl_->inodes.find(inode) : nullptr;
  if (node != nullptr && node->valid && (node->inode.flags & fs::kCapability) == 0) co_return posix_error(ENODATA);
  fs::GetAttributeRequest request;
  request.caller = std::move(caller);
  request.inode = inode;
  request.name = name;
  auto reply = co_await impl_->meta.get_attribute(request);
  if (!reply.ok()) co_return reply.status;
  co_return std::move(reply.body.value);
}

Task<Status> FileSystem::set_attribute(fs::Caller caller, fs::InodeId inode, std::string name, std::string value,
                                       std::uint32_t flags) {
  Status status = check_attribute_name(name);
  if (!status.ok()) co_return status;
  if (value.size() > limits::kXattrValueBytesMax) co_return posix_error(E2BIG);
  fs::SetAttributeRequest request;
  request.caller = std::move(caller);
  request.inode = inode;
  request.name = name;
  request.value = value;
  request.flags = flags;
  if (name == fs::kLayoutAttribute) status = co_await impl_->tell_before_layout(inode);
  if (!status.ok()) co_return status;
  NodeRef node = impl_->inodes.get(inode);
  const bool was_open = !node->valid || open_to_all(node->inode);
  const auto reply = co_await impl_->meta.set_attribute(request);
  if (!reply.ok()) co_return reply.status;
  impl_->attributes_changed(inode, reply.transaction);
  if (name == fs::kAccessListXattr) co_await impl_->list_changed(node, was_open);
  co_return kOk;
}

Task<Result<std::vector<std::string>>> FileSystem::list_attributes(fs::Caller caller, fs::InodeId inode) {
  fs::ListAttributesRequest request;
  request.caller = std::move(caller);
  request.inode = inode;
  auto reply = co_await impl_->meta.list_attributes(request);
  if (!reply.ok()) co_return reply.status;
  co_return std::move(reply.body.names);
}

Task<Status> FileSystem::remove_attribute(fs::Caller caller, fs::InodeId inode, std::string name) {
  Status status = check_attribute_name(name);
  if (!status.ok()) co_return status;
  fs::RemoveAttributeRequest request;
  request.caller = std::move(caller);
  request.inode = inode;
  request.name = name;
  NodeRef node = impl_->inodes.get(inode);
  const bool was_open = !node->valid || open_to_all(node->inode);
  const auto reply = co_await impl_->meta.remove_attribute(request);
  if (!reply.ok()) co_return reply.status;
  impl_->attributes_changed(inode, reply.transaction);
  if (name == fs::kAccessListXattr) co_await impl_->list_changed(node, was_open);
  co_return kOk;
}

}  // namespace rideau::client
