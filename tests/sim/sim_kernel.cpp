// SPDX-License-Identifier: Apache-2.0
// Names and attributes of the simulated kernel; bytes are in sim_kernel_data.cpp.
#include "tests/sim/sim_kernel.hpp"

#include "framework/runtime/await.hpp"
#include "plugins/client/repeat.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rideau::sim {

Task<> KernelLock::lock(bool exclusive) {
  const std::uint64_t ticket = next_ticket_++;
  while (ticket != serving_ || exclusive_ || (exclusive && shared_ > 0)) co_await waiters_.wait();
  if (exclusive) {
    exclusive_ = true;
  } else {
    ++shared_;
  }
  ++serving_;
  waiters_.wake_all();
}

void KernelLock::unlock(bool exclusive) {
  if (exclusive) {
    exclusive_ = false;
  } else {
    --shared_;
  }
  waiters_.wake_all();
}

SimKernel::SimKernel(SimRuntime& runtime, client::FileSystem& below, SimKernelOptions options)
    : runtime_(runtime),
      below_(below),
      options_(options),
      expired_(runtime),
      taken_(runtime),
      rename_lock_(runtime),
      background_(runtime) {}
SimKernel::~SimKernel() = default;

SimKernel::Node& SimKernel::node(fs::InodeId inode) {
  auto& slot = nodes_[inode];
  if (slot == nullptr) slot = std::make_unique<Node>(runtime_);
  return *slot;
}

void SimKernel::expire_names() {
  names_expire_ = true;
  kick_expiry();
}

void SimKernel::expire_attributes(fs::InodeId inode) {
  attributes_expire_.insert(inode);
  kick_expiry();
}

void SimKernel::kick_expiry() {
  if (expiring_) return;
  expiring_ = true;
  background_.spawn(deliver_expiry());
}

void SimKernel::busy(const char* what, fs::InodeId inode) {
  ++requests_[what];
  if (runtime_.world().tracing()) {
    runtime_.world().trace(runtime_.id(), "kernel: %s %llu", what, static_cast<unsigned long long>(inode));
  }
}

void SimKernel::idle(const char* what, fs::InodeId inode, const std::string& answer) {
  --requests_[what];
  if (runtime_.world().tracing()) {
    runtime_.world().trace(runtime_.id(), "kernel: %s %llu answered %s", what, static_cast<unsigned long long>(inode),
                           answer.c_str());
  }
}

// A real kernel hears of it through a message.
Task<> SimKernel::deliver_expiry() {
  while (names_expire_ || !attributes_expire_.empty()) {
    co_await sleep_for(runtime_, runtime_.world().random().below(60 * kMicrosecond));
    if (std::exchange(names_expire_, false) && options_.bug != KernelBug::keeps_names) {
      ++epoch_;
      runtime_.world().trace(runtime_.id(), "kernel: names expired");
    }
    for (const fs::InodeId inode : std::exchange(attributes_expire_, {})) {
      if (options_.bug == KernelBug::keeps_attributes) continue;
      forget_attributes(inode);
      runtime_.world().trace(runtime_.id(), "kernel: attributes of %llu expired",
                             static_cast<unsigned long long>(inode));
    }
  }
  expiring_ = false;
  expired_.wake_all();
}

Task<> SimKernel::settle() {
  while (expiring_) co_await expired_.wait();
}

Task<> SimKernel::take_in() {
  Random& random = runtime_.world().random();
  if (random.chance(50)) co_return;
  const std::uint64_t number = ++answers_;
  untaken_.insert(number);
  co_await sleep_for(runtime_, random.below(options_.take_in_ns_max));
  untaken_.erase(number);
  taken_.wake_all();
}

Task<> SimKernel::answers_taken() {
  const std::uint64_t last = answers_;
  while (!untaken_.empty() && *untaken_.begin() <= last) co_await taken_.wait();
}

void SimKernel::forget_attributes(fs::InodeId inode) {
  Node& known = node(inode);
  known.version = ++changes_;
  known.attributes.reset();
}

void SimKernel::learn(const fs::Inode& inode, std::uint64_t asked_at) {
  Node& known = node(inode.id);
  known.type = inode.mode & S_IFMT;
  if (inode.is_directory() && inode.parent != fs::kNoInode) known.parent = inode.parent;
  if (known.version > asked_at) return;
  known.attributes.reset();
  if ((inode.flags & client::kAttributesOnce) == 0) known.attributes = inode;
  known.size = inode.size;
}

// Whether what an answer says of a name comes with a lifetime.
bool SimKernel::may_keep(fs::InodeId directory, std::uint64_t token) const {
  return token != 0 && token == below_.names_token(directory);
}

void SimKernel::learn_name(fs::InodeId directory, const std::string& name, fs::InodeId inode, std::uint64_t epoch) {
  node(directory).names[name] = {inode, epoch};
}

Task<Result<fs::InodeId>> SimKernel::find(fs::InodeId directory, std::string name) {
  Node& parent = node(directory);
  const auto cached = parent.names.find(name);
  if (cached != parent.names.end() && cached->second.epoch == epoch_) co_return cached->second.inode;
  const std::uint64_t epoch_before = epoch_;
  const std::uint64_t token = below_.names_token(directory);
  const std::uint64_t asked_at = changes_;
  busy("LOOKUP", directory);
  const auto begin = [&] { return below_.lookup(caller_, directory, name); };
  const Result<fs::Inode> found = co_await client::repeated(below_, client::Repeat::always, begin);
  const bool keep = may_keep(directory, token);
  idle("LOOKUP", directory);
  co_await take_in();
  if (!found.ok()) {
    if (errno_of(found.status()) != ENOENT) co_return found.status();
    learn_name(directory, name, fs::kNoInode, keep ? epoch_before : 0);
    co_return fs::kNoInode;
  }
  learn(*found, asked_at);
  learn_name(directory, name, found->id, keep ? epoch_before : 0);
  co_return found->id;
}

Task<Result<fs::Inode>> SimKernel::lookup(fs::InodeId directory, std::string name) {
  Node& parent = node(directory);
  co_await parent.lock.lock(false);
  const Result<fs::InodeId> found = co_await find(directory, name);
  parent.lock.unlock(false);
  if (!found.ok()) co_return found.status();
  if (*found == fs::kNoInode) co_return posix_error(ENOENT);
  fs::Inode inode;
  inode.id = *found;
  inode.mode = node(*found).type;
  co_return inode;
}

Task<Result<fs::Inode>> SimKernel::get_attributes(fs::InodeId inode, bool to_read) {
  Node& known = node(inode);
  if (known.attributes.has_value()) co_return *known.attributes;
  const std::uint64_t asked_at = changes_;
  busy("GETATTR", inode);
  const auto begin = [&] { return below_.get_attributes(inode, to_read); };
  const Result<fs::Inode> found = co_await client::repeated(below_, client::Repeat::always, begin);
  idle("GETATTR", inode, found.ok() ? "size " + std::to_string(found->size) : std::string("error"));
  co_await take_in();
  const bool believed = found.ok() && known.version <= asked_at;
  const std::uint64_t old_size = known.size;
  if (found.ok()) learn(*found, asked_at);
  if (believed && options_.maps && found->is_regular()) co_await follow_attributes(inode, old_size, *found);
  co_return found;
}

Task<Result<fs::Inode>> SimKernel::make(fs::InodeId directory, std::string name, std::uint32_t mode,
                                        std::string symlink_target) {
  Node& parent = node(directory);
  co_await parent.lock.lock(true);
  const Result<fs::InodeId> existing = co_await find(directory, name);
  if (!existing.ok() || *existing != fs::kNoInode) {
    parent.lock.unlock(true);
    if (!existing.ok()) co_return existing.status();
    co_return posix_error(EEXIST);
  }
  const std::uint64_t epoch_before = epoch_;
  const std::uint64_t token = below_.names_token(directory);
  const std::uint64_t asked_at = changes_;
  busy("MAKE", directory);
  const auto begin = [&] { return below_.make(caller_, directory, name, mode, 0, symlink_target); };
  const Result<fs::Inode> made = co_await client::repeated(below_, client::Repeat::unless_sent, begin);
  const bool keep = may_keep(directory, token);
  idle("MAKE", directory);
  co_await take_in();
  if (made.ok()) {
    learn(*made, asked_at);
    learn_name(directory, name, made->id, keep ? epoch_before : 0);
  } else {
    parent.names.erase(name);
  }
  forget_attributes(directory);
  parent.lock.unlock(true);
  co_return made;
}

Task<Result<SimKernel::Created>> SimKernel::create(fs::InodeId directory, std::string name, bool exclusive) {
  Node& parent = node(directory);
  co_await parent.lock.lock(true);
  const Result<fs::InodeId> existing = co_await find(directory, name);
  if (!existing.ok()) {
    parent.lock.unlock(true);
    co_return existing.status();
  }
  if (*existing != fs::kNoInode) {
    parent.lock.unlock(true);
    if (exclusive) co_return posix_error(EEXIST);
    if (node(*existing).type == S_IFDIR) co_return posix_error(EISDIR);
    if (node(*existing).type != S_IFREG) co_return posix_error(ELOOP);
    const Result<FileId> opened = co_await open(*existing, fs::kOpenRead | fs::kOpenWrite);
    if (!opened.ok()) co_return opened.status();
    Created result;
    result.file = *opened;
    result.inode.id = *existing;
    co_return result;
  }
  const std::uint64_t epoch_before = epoch_;
  const std::uint64_t token = below_.names_token(directory);
  const std::uint64_t asked_at = changes_;
  const std::uint32_t flags = fs::kOpenRead | fs::kOpenWrite | (exclusive ? fs::kOpenExclusive : 0u);
  busy("CREATE", directory);
  const auto begin = [&] { return below_.create(caller_, directory, name, S_IFREG | 0644, flags); };
  const Result<client::OpenFile> made = co_await client::repeated(below_, client::Repeat::unless_sent, begin);
  const bool keep = may_keep(directory, token);
  idle("CREATE", directory);
  co_await take_in();
  Created result;
  if (made.ok()) {
    learn(made->inode, asked_at);
    learn_name(directory, name, made->inode.id, keep ? epoch_before : 0);
    result.file = next_file_++;
    result.inode = made->inode;
    files_[result.file] = {made->inode.id, made->handle, true};
  } else {
    parent.names.erase(name);
  }
  forget_attributes(directory);
  parent.lock.unlock(true);
  if (!made.ok()) co_return made.status();
  co_return result;
}

Task<Result<fs::Inode>> SimKernel::link(fs::InodeId inode, fs::InodeId directory, std::string name) {
  Node& parent = node(directory);
  Node& target = node(inode);
  co_await parent.lock.lock(true);
  const Result<fs::InodeId> existing = co_await find(directory, name);
  if (!existing.ok() || *existing != fs::kNoInode) {
    parent.lock.unlock(true);
    if (!existing.ok()) co_return existing.status();
    co_return posix_error(EEXIST);
  }
  if (target.type == S_IFDIR) {
    parent.lock.unlock(true);
    co_return posix_error(EPERM);
  }
  co_await target.lock.lock(true);
  const std::uint64_t epoch_before = epoch_;
  const std::uint64_t token = below_.names_token(directory);
  busy("LINK", directory);
  const auto begin = [&] { return below_.link(caller_, inode, directory, name); };
  const Result<fs::Inode> linked = co_await client::repeated(below_, client::Repeat::unless_sent, begin);
  const bool keep = may_keep(directory, token);
  idle("LINK", directory);
  co_await take_in();
  if (linked.ok()) {
    learn_name(directory, name, inode, keep ? epoch_before : 0);
  } else {
    parent.names.erase(name);
  }
  forget_attributes(inode);
  forget_attributes(directory);
  target.lock.unlock(true);
  parent.lock.unlock(true);
  co_return linked;
}

Task<Status> SimKernel::remove(fs::InodeId directory, std::string name, bool is_directory) {
  Node& parent = node(directory);
  co_await parent.lock.lock(true);
  const Result<fs::InodeId> found = co_await find(directory, name);
  Status status = found.ok() ? kOk : found.status();
  if (found.ok()) {
    const bool victim_is_directory = node(*found).type == S_IFDIR;
    if (*found == fs::kNoInode) {
      status = posix_error(ENOENT);
    } else if (is_directory != victim_is_directory) {
      status = posix_error(is_directory ? ENOTDIR : EISDIR);
    }
  }
  if (!status.ok()) {
    parent.lock.unlock(true);
    co_return status;
  }
  Node& victim = node(*found);
  co_await victim.lock.lock(true);
  busy("REMOVE", directory);
  const auto begin = [&] { return below_.remove(caller_, directory, name, is_directory); };
  status = co_await client::repeated(below_, client::Repeat::unless_sent, begin);
  idle("REMOVE", directory);
  co_await take_in();
  parent.names.erase(name);
  forget_attributes(*found);
  forget_attributes(directory);
  victim.lock.unlock(true);
  parent.lock.unlock(true);
  co_return status;
}

bool SimKernel::above(fs::InodeId ancestor, fs::InodeId inode) const {
  for (int depth = 0; depth < 64 && inode != fs::kNoInode && inode != fs::kRootInode; ++depth) {
    if (inode == ancestor) return true;
    const auto found = nodes_.find(inode);
    if (found == nodes_.end()) return false;
    inode = found->second->parent;
  }
  return inode == ancestor;
}

Task<Status> SimKernel::rename(fs::InodeId old_directory, std::string old_name, fs::InodeId new_directory,
                               std::string new_name, std::uint32_t flags) {
  // Parents above their children, otherwise in a fixed order, and one rename between directories at a time.
  const bool across = old_directory != new_directory;
  fs::InodeId first = std::min(old_directory, new_directory);
  fs::InodeId second = std::max(old_directory, new_directory);
  if (across) {
    co_await rename_lock_.lock();
    if (above(second, first)) std::swap(first, second);
    co_await node(first).lock.lock(true);
    co_await node(second).lock.lock(true);
  } else {
    co_await node(first).lock.lock(true);
  }
  const Result<fs::InodeId> moved = co_await find(old_directory, old_name);
  Status status = moved.ok() ? kOk : moved.status();
  fs::InodeId target = fs::kNoInode;
  if (status.ok() && *moved == fs::kNoInode) status = posix_error(ENOENT);
  if (status.ok()) {
    const Result<fs::InodeId> there = co_await find(new_directory, new_name);
    status = there.ok() ? kOk : there.status();
    if (there.ok()) target = *there;
  }
  if (status.ok() && (flags & fs::kRenameNoReplace) != 0 && target != fs::kNoInode) status = posix_error(EEXIST);
  if (status.ok()) {
    // The locks of what is moved and replaced, unless they are the parents that are locked already.
    std::set<fs::InodeId> victims;
    for (const fs::InodeId id : {*moved, target}) {
      if (id != fs::kNoInode && id != old_directory && id != new_directory) victims.insert(id);
    }
    for (const fs::InodeId id : victims) co_await node(id).lock.lock(true);
    const std::uint64_t old_epoch = node(old_directory).names[old_name].epoch;
    busy("RENAME", old_directory);
    const auto begin = [&] { return below_.rename(caller_, old_directory, old_name, new_directory, new_name, flags); };
    status = co_await client::repeated(below_, client::Repeat::unless_sent, begin);
    idle("RENAME", old_directory);
    co_await take_in();
    node(old_directory).names.erase(old_name);
    node(new_directory).names.erase(new_name);
    const bool plain = (flags & fs::kRenameExchange) == 0 && *moved != target;
    if (status.ok() && plain) learn_name(new_directory, new_name, *moved, old_epoch);
    if (status.ok() && node(*moved).type == S_IFDIR) node(*moved).parent = new_directory;
    for (const fs::InodeId id : victims) {
      forget_attributes(id);
      node(id).lock.unlock(true);
    }
    forget_attributes(old_directory);
    forget_attributes(new_directory);
  }
  node(first).lock.unlock(true);
  if (across) {
    node(second).lock.unlock(true);
    rename_lock_.unlock();
  }
  co_return status;
}

Task<Result<std::string>> SimKernel::read_link(fs::InodeId inode) {
  busy("READLINK", inode);
  const auto begin = [&] { return below_.read_link(inode); };
  Result<std::string> target = co_await client::repeated(below_, client::Repeat::always, begin);
  idle("READLINK", inode);
  co_await take_in();
  co_return target;
}

Task<Result<SimKernel::Listing>> SimKernel::list(fs::InodeId directory) {
  Listing listing;
  fs::Cookie after = fs::kCookieStart;
  for (int calls = 0;; ++calls) {
    Node& parent = node(directory);
    co_await parent.lock.lock(false);
    busy("READDIR", directory);
    const auto begin = [&] { return below_.read_directory(directory, after, options_.list_entries_max, false); };
    const Result<std::vector<fs::DirectoryEntry>> entries =
        co_await client::repeated(below_, client::Repeat::always, begin);
    idle("READDIR", directory);
    co_await take_in();
    parent.lock.unlock(false);
    if (!entries.ok()) co_return entries.status();
    if (entries->empty()) break;
    if (calls > 0) listing.one_step = false;
    for (const fs::DirectoryEntry& entry : *entries) {
      if (entry.cookie <= after) co_return posix_error(ELOOP, "cookies of a directory do not grow");
      after = entry.cookie;
      if (entry.name != "." && entry.name != "..") listing.entries.push_back(entry);
    }
  }
  co_return listing;
}

void SimKernel::shrink() {
  Random& random = runtime_.world().random();
  for (auto& [id, known] : nodes_) {
    for (auto name = known->names.begin(); name != known->names.end();) {
      name = random.chance(30) ? known->names.erase(name) : std::next(name);
    }
    for (auto page = known->pages.begin(); page != known->pages.end();) {
      const bool clean = !page->second.locked && !page->second.dirty && !page->second.writing;
      const bool goes = clean && random.chance(30);
      page = goes ? known->pages.erase(page) : std::next(page);
    }
  }
}

std::string SimKernel::describe() const {
  std::string text;
  for (const auto& [what, count] : requests_) {
    if (count != 0) text += " " + std::to_string(count) + " " + what;
  }
  if (!text.empty()) text = "unanswered:" + text;
  for (const auto& [id, known] : nodes_) {
    const auto locked =
        std::count_if(known->pages.begin(), known->pages.end(), [](const auto& p) { return p.second.locked; });
    const auto writing =
        std::count_if(known->pages.begin(), known->pages.end(), [](const auto& p) { return p.second.writing; });
    if (!known->lock.busy() && locked == 0 && writing == 0) continue;
    text += "; inode " + std::to_string(id) + (known->lock.busy() ? " locked" : "");
    if (locked != 0) text += " with " + std::to_string(locked) + " locked pages";
    if (writing != 0) text += " with " + std::to_string(writing) + " pages under write-back";
  }
  return text.empty() ? "nothing unanswered" : text;
}

}  // namespace rideau::sim
