// SPDX-License-Identifier: Apache-2.0
// Locks of inodes, as the client uses them: taking what answers bring, asking for what data calls need, and giving back
// what the server wants, one inode at a time.
//
// Names and attributes are cached under a lock of any mode: whoever changes them waits at the server until nobody else
// has one. Bytes are read under a shared lock and written under an exclusive one. No call waits at the server while it
// keeps a lock that others may want there, but for the inode whose lock it has: then the server does not make it wait.
//
// Why data calls are special: the kernel holds the lock of a page while its READ or WRITE is unanswered, and dropping
// the pages of that inode waits for it. So until the pages of an inode were dropped, its data calls go on under the
// lock that is being given back; afterwards they wait for the lock like everybody. For this to suffice, a data call
// must never wait for a stronger lock while the kernel has pages of its inode under the weaker one: inodes that are
// open for writing here are read under the exclusive lock, and before a file is opened for writing under a weaker one
// its pages are dropped.
#include "plugins/client/file_system_impl.hpp"

#include "framework/base/sim_hooks.hpp"

namespace rideau::client {

NodeRef FileSystem::Impl::learn(const fs::Inode& fresh) {
  NodeRef node = inodes.get(fresh.id);
  const bool covered = take_grant(*node, fresh.lock);
  inodes.update(fresh, covered);
  // A directory that others change in turn: for a moment nothing is worth being asked about it.
  if (fresh.is_directory() && fresh.lock == 0) node->lock.contended_until_ns = runtime.now_ns() + kWithheldNs;
  if (fresh.link_count == 0) end_kept(*node);  // what has no name goes when nobody has it open
  keep_within_bounds();
  return node;
}

// The number of a grant says to which holding it belongs, however late it comes: what was given back has a number as
// well, and later grants have greater ones.
bool FileSystem::Impl::take_grant(Node& node, fs::LockWord word) {
  if (word == 0) return false;
  const lock::GrantNumber number = word >> 2;
  const bool divided = fs::is_divided(word);
  const Mode mode = (word & 3) == static_cast<fs::LockWord>(Mode::exclusive) ? Mode::exclusive : Mode::shared;
  NodeLock& lock = node.lock;
  if (lock.mode != Mode::none) {
    if (number <= lock.number) return number >= lock.first;
    lock.number = number;
    lock.mode = std::max(lock.mode, mode);
    if (lock.divided && !divided) become_whole(node);
    gate_changed.wake_all();
    return true;
  }
  if (number <= lock.number) {
    // Given back already, or void: the server hears of it (once more).
    queue_give_back({node.inode.id, number}, NodeRef(node));
    return false;
  }
  node.valid = false;
  node.size_known = false;
  node.names_complete = false;
  lock.mode = mode;
  lock.divided = node.at_least = divided;
  if (divided && node.parts == nullptr) node.parts = std::make_unique<NodeParts>();
  ++locks_held;
  lock.first = lock.number = number;
  lock.stamp = ++stamps;
  gate_changed.wake_all();
  return true;
}

void FileSystem::Impl::on_revoke(const fs::LockItem& item) {
  Node* known = inodes.find(item.resource);
  if (known == nullptr) {
    // The grant may be on its way.
    inodes.void_grants(item.number);
    queue_give_back(item, NodeRef());
    return;
  }
  NodeLock& lock = known->lock;
  if (known->inode.is_regular()) lock.contended_until_ns = runtime.now_ns() + kContendedNs;
  lock.number = std::max(lock.number, item.number);
  if (lock.mode != Mode::none) {
    start_release(NodeRef(*known));
  } else {
    queue_give_back(item, NodeRef(*known));
  }
}

// Nothing is given back and nothing written for it. A lock that is on its way back comes with everything.
fs::SizeUpdate FileSystem::Impl::glimpse(const fs::LockItem& item) {
  Node* node = inodes.find(item.resource);
  if (node == nullptr || node->lock.mode == Mode::none) return {};
  if (item.number < node->lock.first || item.number > node->lock.number) return {};
  if (node->lock.divided) {
    // What is known is so also while a part, or all of it, is given back. Who knows nothing yet has changed nothing.
    const fs::Inode& inode = node->inode;
    const bool cutting = resizing.contains(inode.id);
    if (!node->size_known) return {0, 0, 0, inode.time_generation, true, true, cutting};
    return {inode.size, inode.blocks, inode.mtime_ns, inode.time_generation, true, true, cutting};
  }
  if (node->lock.mode != Mode::exclusive || node->lock.closing) return {};
  return size_update(*node);
}

void FileSystem::Impl::start_release(NodeRef node) {
  if (node->lock.mode == Mode::none || node->lock.closing) return;
  node->lock.closing = true;
  end_kept(*node);
  tasks->spawn(release_lock(std::move(node)));
}

// Everything that is cached under the lock becomes clean and goes. The order: bytes to their targets, the kernel's
// pages (which may bring more bytes), size and times to the metadata server, what targets may lose made durable, names
// and attributes, our own caches.
Task<> FileSystem::Impl::release_lock(NodeRef node) {
  const std::uint64_t before = epoch;
  NodeLock& lock = node->lock;
  // Calls that waited for the lock go first, once, or two clients could pass it back and forth and neither get anything
  // done; and answers of calls that just ended reach the kernel before what they say is expired there.
  co_await yield_now(runtime);
  if (epoch != before) co_return;
  lock.releasing = true;
  gate_changed.wake_all();
  co_await attributes_told(node);
  if (epoch != before) co_return;
  co_await forget_bytes(node);
  if (epoch != before) co_return;
  co_await tell_news(node);
  if (epoch != before) co_return;
  lock.expiring = true;
  co_await attributes_told(node);
  if (epoch != before) co_return;
  // An answer may have come with news: a size that only the objects knew.
  co_await tell_news(node);
  if (epoch != before) co_return;
  co_await settle_bytes(node);
  if (epoch != before) co_return;
  co_await expire_in_kernel(node);
  while (epoch == before && lock.tellings != 0) co_await sent.wait();
  if (epoch != before) co_return;
  inodes.lose(*node);
  const std::shared_ptr<FileData> data = plane.find(node->inode.id);
  if (data != nullptr) data->drop();
  lock.mode = Mode::none;
  if (std::exchange(lock.divided, false)) node->parts->held.clear();
  --locks_held;
  lock.closing = lock.releasing = lock.sealed = lock.expiring = false;
  queue_give_back({node->inode.id, lock.number}, node);
  gate_changed.wake_all();
}

// Bytes are written, pages dropped; from then on no data call starts under this lock.
Task<> FileSystem::Impl::forget_bytes(NodeRef node) {
  const std::uint64_t before = epoch;
  if (node->lock.divided) {
    co_await release_part(node, {0, lock::kExtentEnd});
    while (epoch == before && (!node->parts->going.empty() || node->lock.data_uses != 0)) co_await gate_changed.wait();
    if (epoch != before) co_return;
  }
  if (node->lock.divided) {  // still: it may have become whole meanwhile, and its pages with it
    const auto pages = paged.find(node->inode.id);
    if (pages != paged.end() && pages->second.running == 0) paged.erase(pages);
  }
  const std::shared_ptr<FileData> data = plane.find(node->inode.id);
  if (data != nullptr && data->dirty()) RIDEAU_MARK(dirty_bytes_asked_back);
  if (RIDEAU_PLANTED_BUG(gives_lock_back_dirty) && data != nullptr) data->discard();
  if (data != nullptr && data->dirty()) static_cast<void>(co_await data->flush());
  if (epoch != before) co_return;
  // No page rests on a shared lock of a file that is open for writing here (see open()). What the kernel has of it is
  // of a session that was lost, and is being dropped: that may wait for the very WRITE for which this lock makes room.
  if (node->lock.mode == Mode::exclusive || node->writers == 0) co_await drop_pages_of(node);
  while (epoch == before && node->lock.data_uses != 0) co_await gate_changed.wait();
  if (epoch != before) co_return;
  node->lock.sealed = true;
  const std::shared_ptr<FileData> now = plane.find(node->inode.id);
  if (now != nullptr && now->dirty()) static_cast<void>(co_await now->flush());
}

// What is not durable could not be made again when others have changed the file. Behind everything that is told: the
// metadata server may refuse the bytes of a small file, which are written to objects then.
Task<> FileSystem::Impl::settle_bytes(NodeRef node) {
  const std::shared_ptr<FileData> data = plane.find(node->inode.id);
  if (data == nullptr || data->settled() || RIDEAU_PLANTED_BUG(gives_lock_back_unstable)) co_return;
  const Status settled = co_await data->settle();
  if (!settled.ok()) log.warning("writing back before giving up a lock: %s", code_name(settled.code));
}

Task<> FileSystem::Impl::tell_news(NodeRef node) {
  const std::uint64_t before = epoch;
  while (epoch == before && node->lock.tellings != 0) co_await sent.wait();
  if (epoch != before || !node->changed) co_return;
  const Status told_it = co_await send_size(node);
  if (!told_it.ok()) log.warning("telling a size before giving up a lock: %s", code_name(told_it.code));
}

Task<> FileSystem::Impl::expire_in_kernel(NodeRef node) {
  if (kernel == nullptr) co_return;
  // Names of a directory; and its own name where the kernel keeps that only while everybody may use it.
  const fs::Inode& inode = node->inode;
  const bool has_names = !inode.is_regular() && !inode.is_symlink();
  if (!has_names && !node->kernel_attributes) co_return;
  if (has_names) kernel->expire_names();
  if (std::exchange(node->kernel_attributes, false)) kernel->expire_attributes(inode.id);
  co_await kernel->settle();
  node->lock.expired = ++expiries;
}

void FileSystem::Impl::queue_give_back(const fs::LockItem& item, NodeRef node) {
  if (node) ++node->lock.giving_back;
  give_backs.push_back({item, std::move(node)});
  if (std::exchange(sending_give_backs, true)) return;
  tasks->spawn(send_give_backs());
}

Task<> FileSystem::Impl::send_give_backs() {
  co_await yield_now(runtime);  // what goes together goes in one message
  while (!give_backs.empty() || !give_backs_parts.empty()) {
    std::vector<GiveBack> taken;
    if (give_backs.size() <= limits::kLockItemsMax) {
      taken.swap(give_backs);
    } else {
      const auto end = give_backs.begin() + static_cast<std::ptrdiff_t>(limits::kLockItemsMax);
      taken.assign(give_backs.begin(), end);
      give_backs.erase(give_backs.begin(), end);
    }
    std::vector<fs::LockItem> items;
    items.reserve(taken.size());
    for (const GiveBack& one : taken) items.push_back(one.item);
    std::vector<fs::ExtentItem> parts;
    std::vector<GiveBackPart> taken_parts;
    if (give_backs_parts.size() <= limits::kLockItemsMax) {
      taken_parts.swap(give_backs_parts);
    } else {
      const auto end = give_backs_parts.begin() + static_cast<std::ptrdiff_t>(limits::kLockItemsMax);
      taken_parts.assign(give_backs_parts.begin(), end);
      give_backs_parts.erase(give_backs_parts.begin(), end);
    }
    parts.reserve(taken_parts.size());
    for (const GiveBackPart& one : taken_parts) parts.push_back(one.item);
    // A failure means that the session is ending: the server drops the locks with it.
    static_cast<void>(co_await meta.give_back_locks(items, parts));
    for (const GiveBack& one : taken) {
      if (one.node) --one.node->lock.giving_back;
    }
    gate_changed.wake_all();
  }
  sending_give_backs = false;
}

bool FileSystem::Impl::is_over_bounds(std::uint64_t eighths) const {
  return inodes.size() > options.cached_inodes / 8 * eighths || locks_held > lock_budget / 8 * eighths;
}

// More is known than there is room for, or more held than the server can bear: what was not used for the longest time
// goes, with its locks.
void FileSystem::Impl::keep_within_bounds() {
  if (!is_over_bounds(8) || bounding) return;
  bounding = true;
  tasks->spawn(give_back_oldest());
}

Task<> FileSystem::Impl::give_back_oldest() {
  while (is_over_bounds(7) && !stopped) {
    const std::uint64_t before = epoch;
    // Pages that the kernel may have go with the lock.
    const auto pins_of_lock = [this](const Node& node) {
      const auto pages = paged.find(node.inode.id);
      return pages != paged.end() && pages->second.running == 0 ? 1u : 0u;
    };
    std::vector<NodeRef> oldest = inodes.oldest_held(kLocksGivenBack, pins_of_lock);
    if (oldest.empty()) break;
    for (const NodeRef& node : oldest) start_release(node);
    while (!oldest.empty()) {
      NodeRef node = std::move(oldest.back());
      oldest.pop_back();
      while (epoch == before && (node->lock.closing || node->lock.giving_back != 0)) co_await gate_changed.wait();
      const fs::InodeId inode = node->inode.id;
      node = NodeRef();
      inodes.let_go(inode);
    }
  }
  bounding = false;
}

void FileSystem::Impl::note_pages(Node& node) {
  Paged& pages = paged[node.inode.id];
  if (!pages.node) pages.node = NodeRef(node);
  ++pages.running;
  pages.entered = true;
  if (paged.size() > kPagedMax && !trimming) {
    trimming = true;
    tasks->spawn(trim_pages());
  }
}

bool FileSystem::Impl::try_enter(Node& node, Mode mode, DataCall& call) {
  NodeLock& lock = node.lock;
  if (lock.mode == Mode::none || lock.sealed || lock.held_up) return false;
  if (lock.divided) {
    if (!try_enter_part(node, mode, call)) return false;
  } else if (lock.mode < mode) {
    return false;
  } else if (lock.releasing) {
    const auto pages = paged.find(node.inode.id);
    if (pages == paged.end()) return false;
    ++pages->second.running;
    pages->second.entered = true;
  } else if (kernel != nullptr) {
    note_pages(node);
  }
  ++lock.data_uses;
  return true;
}

Task<Status> FileSystem::Impl::enter(NodeRef node, bool changes, DataCall& call) {
  const std::uint64_t failures = node->lock.failures;
  bool told = false;
  if (call.behind == 0) call.behind = writes_begun;
  if (!writing.empty() && !call.of_map) co_await behind_writes(*node, call, call.behind, true);
  for (;;) {
    if (stopped) co_return Status{Code::closed, 0, "the file system is stopped"};
    const Mode mode = changes || node->writers != 0 ? Mode::exclusive : Mode::shared;
    if (try_enter(*node, mode, call)) co_return kOk;
    if (node->lock.failures != failures) co_return node->lock.failure;
    call.not_held = call.of_map && node->lock.divided && !has_part(*node, call.range, mode);
    if (call.not_held) co_return Status{Code::busy, EAGAIN, "the part of the file is not held"};
    // Somebody else waits for the lock on this call's behalf, so that this call can go on as soon as it may.
    if (node->lock.divided) {
      if (!node->lock.closing && !node->parts->held.covers(call.range, mode)) want_part(node, call.range, mode);
      node->parts->waiting.push_back(call);
      // What is dropped in the kernel may wait for this call.
      if (!node->parts->going.empty() && !std::exchange(told, true)) gate_changed.wake_all();
    } else if (node->lock.mode < mode) {
      want_lock(node, mode);
    }
    co_await gate_changed.wait();
    if (call.is_linked()) call.unlink();
  }
}

void FileSystem::Impl::leave(Node& node, DataCall& call) {
  if (call.is_linked()) {
    call.unlink();
    gate_changed.wake_all();
  }
  leave(node);
}

void FileSystem::Impl::leave(Node& node) {
  RIDEAU_ASSERT(node.lock.data_uses > 0);
  --node.lock.data_uses;
  const auto pages = paged.find(node.inode.id);
  if (pages != paged.end() && pages->second.running > 0) --pages->second.running;
  if (node.lock.releasing) gate_changed.wake_all();
}

void FileSystem::Impl::want_lock(NodeRef node, Mode mode) {
  if (node->lock.fetching) return;
  node->lock.fetching = true;
  tasks->spawn(fetch_lock(std::move(node), mode));
}

// A weaker lock is given back first. Nothing waits for a lock of before, which may be what the server waits for.
Task<> FileSystem::Impl::fetch_lock(NodeRef node, Mode mode) {
  NodeLock& lock = node->lock;
  co_await yield_now(runtime);
  while (!stopped && !lock.divided && lock.mode < mode) {
    start_release(node);
    if (lock.closing || lock.giving_back != 0) {
      co_await gate_changed.wait();
      continue;
    }
    const std::uint64_t before = epoch;
    const auto reply = co_await meta.take_lock(node->inode.id, mode);
    if (!reply.ok() || epoch != before) {
      lock.failure = reply.ok() ? Status{Code::closed, 0, "the metadata server restarted"} : reply.status;
      ++lock.failures;
      break;
    }
    take_grant(*node, reply.body.lock);
  }
  lock.fetching = false;
  gate_changed.wake_all();
}

Task<Result<unsigned>> FileSystem::Impl::enter_attributes(NodeRef node) {
  while (!stopped && node->lock.expiring) co_await gate_changed.wait();
  if (stopped) co_return Status{Code::closed, 0, "the file system is stopped"};
  NodeLock& lock = node->lock;
  ++lock.attribute_calls;
  ++lock.asking[lock.turn];
  co_return lock.turn;
}

void FileSystem::Impl::leave_attributes(Node& node, unsigned turn) {
  RIDEAU_ASSERT(node.lock.asking[turn] > 0);
  if (--node.lock.asking[turn] == 0) answered.wake_all();
}

// Who asked for attributes has been answered and has taken the answer in, and nobody else has asked meanwhile: what
// expires now is nobody's answer. Where people ask all the time, it ends with those who had asked by then. No question
// waits at the server for others as long as a lock is held here, so this ends.
Task<> FileSystem::Impl::attributes_told(NodeRef node) {
  if (kernel == nullptr) co_return;
  constexpr int kRoundsMax = 8;
  const std::uint64_t before = epoch;
  NodeLock& lock = node->lock;
  const bool kernel_knows = node->kernel_attributes || paged.contains(node->inode.id);
  if (!kernel_knows && lock.asking[0] == 0 && lock.asking[1] == 0) co_return;
  std::uint64_t last = ~0ull;
  for (int round = 0; round < kRoundsMax && last != lock.attribute_calls; ++round) {
    // One after the other, or the second would look at the turn of those who ask from now on.
    while (epoch == before && lock.turning) co_await answered.wait();
    if (epoch != before) co_return;
    last = lock.attribute_calls;
    const unsigned turn = lock.turn;
    lock.turn = 1 - turn;
    lock.turning = true;
    while (epoch == before && lock.asking[turn] != 0) co_await answered.wait();
    lock.turning = false;
    answered.wake_all();
    co_await yield_now(runtime);  // the answer goes out behind leave_attributes()
    co_await kernel->answers_taken();
    if (epoch != before) co_return;
  }
}

// Waits while sizes are on their way and nothing may change them.
Task<> FileSystem::Impl::until_unsealed(NodeRef node) {
  while (node->lock.sealed) co_await gate_changed.wait();
}

bool FileSystem::Impl::stay(Node& node) {
  if (node.lock.mode == Mode::none || node.lock.sealed) return false;
  ++node.lock.data_uses;
  return true;
}

// Until no page of the inode can be in the kernel. Requests that arrived before a drop began had their pages locked by
// then: that drop waits for them and takes their pages. Those that arrive while it runs may bring pages behind its
// back, so it runs again. Lest busy readers make it run for ever, from the second time on they are held up for a
// moment, which is enough for a drop that does not wait for one of them.
//
// One drop of an inode at a time: the end of one means that data calls are no longer let in, and another one that still
// ran would wait for them.
Task<> FileSystem::Impl::drop_pages_of(NodeRef node) {
  const std::uint64_t before = epoch;
  while (node->lock.dropping) co_await gate_changed.wait();
  if (epoch != before) co_return;
  node->lock.dropping = true;
  const fs::InodeId inode = node->inode.id;
  for (int round = 0;; ++round) {
    auto pages = paged.find(inode);
    if (pages == paged.end()) break;
    pages->second.entered = false;
    if (round > 0 && !node->lock.held_up) tasks->spawn(hold_up(node));
    if (kernel != nullptr) {
      co_await attributes_told(node);
      if (epoch != before) break;
      co_await kernel->drop_pages(inode);
    }
    if (epoch != before) break;
    if (std::exchange(node->lock.held_up, false)) gate_changed.wake_all();
    pages = paged.find(inode);
    if (pages == paged.end() || pages->second.entered) continue;
    paged.erase(pages);
    break;
  }
  node->lock.dropping = false;
  gate_changed.wake_all();
}

Task<> FileSystem::Impl::hold_up(NodeRef node) {
  node->lock.held_up = true;
  co_await sleep_for(runtime, kHoldUpNs);
  if (std::exchange(node->lock.held_up, false)) gate_changed.wake_all();
}

Task<> FileSystem::Impl::drop_all_pages() {
  const std::uint64_t before = epoch;
  while (epoch == before && !paged.empty()) {
    NodeRef node = paged.begin()->second.node;
    co_await drop_pages_of(std::move(node));
  }
}

// Too many inodes have pages: one pass over some of them, leaving those in use alone.
Task<> FileSystem::Impl::trim_pages() {
  fs::InodeId next = 0;
  while (paged.size() > kPagedMax / 8 * 7) {
    auto pages = paged.lower_bound(next);
    if (pages == paged.end()) break;
    const fs::InodeId inode = pages->first;
    next = inode + 1;
    NodeRef node = pages->second.node;
    if (pages->second.running != 0 || node->lock.closing || node->lock.dropping) continue;
    if (node->parts != nullptr && !node->parts->waiting.empty()) continue;
    pages->second.entered = false;
    node->lock.dropping = true;
    if (kernel != nullptr) co_await kernel->drop_pages(inode);
    node->lock.dropping = false;
    gate_changed.wake_all();
    pages = paged.find(inode);
    if (pages != paged.end() && pages->second.running == 0 && !pages->second.entered) paged.erase(pages);
  }
  trimming = false;
}

}  // namespace rideau::client
