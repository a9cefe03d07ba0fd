// SPDX-License-Identifier: Apache-2.0
// The one lock over the whole file system, as the client uses it: ordinary calls, data calls that must not wait while
// the lock is being given back, and the giving back itself.
//
// Why data calls are special: the kernel holds the lock of a page while its READ or WRITE is unanswered, and dropping
// the pages of that inode waits for it. So until the pages of an inode were dropped, its data calls go on under the
// lock that is being given back; afterwards they wait for the lock like everybody. For this to suffice, a data call
// must never wait for a stronger lock while the kernel has pages of its inode under the weaker one: inodes that are
// open for writing here are read under the exclusive lock, so that under the shared one the kernel has no page of them.
#include "plugins/client/file_system_impl.hpp"

namespace rideau::client {

Task<Result<Mode>> FileSystem::Impl::take(Mode mode) { return meta.take_lock(kLockResource, mode); }

Task<Status> FileSystem::Impl::give_back() { return meta.give_back_lock(kLockResource); }

void FileSystem::Impl::on_taken(Mode mode) { held = mode; }

Task<Status> FileSystem::Impl::use(Mode mode) {
  if (stopped) co_return Status{Code::closed, 0, "the file system is stopped"};
  const Status status = co_await locks.use(mode);
  co_return status;
}

bool FileSystem::Impl::try_enter(fs::InodeId inode, Mode mode) {
  if (held < mode || sealed) return false;
  if (releasing) {
    const auto pages = paged.find(inode);
    if (pages == paged.end() || inode == held_up) return false;
    ++pages->second.running;
    pages->second.entered = true;
  } else if (kernel != nullptr) {
    Paged& pages = paged[inode];
    ++pages.running;
    pages.entered = true;
    if (paged.size() > kPagedMax && !trimming) {
      trimming = true;
      tasks->spawn(trim_pages());
    }
  }
  ++data_uses;
  return true;
}

Task<Status> FileSystem::Impl::enter(fs::InodeId inode, bool changes) {
  for (;;) {
    if (stopped) co_return Status{Code::closed, 0, "the file system is stopped"};
    const Node* node = inodes.find(inode);
    const bool exclusive = changes || (node != nullptr && node->writers != 0);
    const Mode mode = exclusive ? Mode::exclusive : Mode::shared;
    if (try_enter(inode, mode)) co_return kOk;
    // Somebody else waits for the lock on this call's behalf, so that this call can go on as soon as it may.
    const auto index = static_cast<std::size_t>(mode);
    const std::uint64_t failures = fetch_failures[index];
    if (!fetching[index]) {
      fetching[index] = true;
      tasks->spawn(fetch_lock(mode));
    }
    if (failures == fetch_failures[index] && !try_enter(inode, mode)) {
      co_await gate_changed.wait();
    } else if (failures == fetch_failures[index]) {
      co_return kOk;
    }
    if (failures != fetch_failures[index]) co_return fetch_failure;
  }
}

Task<> FileSystem::Impl::fetch_lock(Mode mode) {
  const auto index = static_cast<std::size_t>(mode);
  const Status status = co_await locks.use(mode);
  fetching[index] = false;
  if (!status.ok()) {
    fetch_failure = status;
    ++fetch_failures[index];
    gate_changed.wake_all();
    co_return;
  }
  gate_changed.wake_all();
  co_await yield_now(runtime);  // those who waited go first
  locks.end_use();
}

Task<Result<unsigned>> FileSystem::Impl::enter_attributes() {
  constexpr auto kShared = static_cast<std::size_t>(Mode::shared);
  for (;;) {
    if (stopped) co_return Status{Code::closed, 0, "the file system is stopped"};
    if (held != Mode::none && !expiring) break;
    const std::uint64_t failures = fetch_failures[kShared];
    if (!fetching[kShared]) {
      fetching[kShared] = true;
      tasks->spawn(fetch_lock(Mode::shared));
    }
    if (failures == fetch_failures[kShared] && (held == Mode::none || expiring)) co_await gate_changed.wait();
    if (failures != fetch_failures[kShared]) co_return fetch_failure;
  }
  ++attribute_calls;
  ++asking[asking_turn];
  co_return asking_turn;
}

void FileSystem::Impl::leave_attributes(unsigned turn) {
  RIDEAU_ASSERT(asking[turn] > 0);
  if (--asking[turn] == 0) answered.wake_all();
}

// Who asked for attributes has been answered and has taken the answer in, and nobody else has asked meanwhile: what
// expires now is nobody's answer. Where people ask all the time, it ends with those who had asked by then.
Task<> FileSystem::Impl::attributes_told() {
  if (kernel == nullptr) co_return;
  constexpr int kRoundsMax = 8;
  const std::uint64_t before = epoch;
  std::uint64_t last = ~0ull;
  for (int round = 0; round < kRoundsMax && last != attribute_calls; ++round) {
    last = attribute_calls;
    const unsigned turn = asking_turn;
    asking_turn = 1 - turn;
    while (epoch == before && asking[turn] != 0) co_await answered.wait();
    co_await yield_now(runtime);  // the answer goes out behind leave_attributes()
    co_await kernel->answers_taken();
    if (epoch != before) co_return;
  }
}

void FileSystem::Impl::leave(fs::InodeId inode) {
  RIDEAU_ASSERT(data_uses > 0);
  --data_uses;
  const auto pages = paged.find(inode);
  if (pages != paged.end() && pages->second.running > 0) --pages->second.running;
  if (releasing) gate_changed.wake_all();
}

// Waits while sizes are on their way and nothing may change them.
Task<> FileSystem::Impl::until_unsealed() {
  while (sealed) co_await gate_changed.wait();
}

bool FileSystem::Impl::stay() {
  if (held == Mode::none || sealed) return false;
  ++data_uses;
  return true;
}

void FileSystem::Impl::unstay() {
  RIDEAU_ASSERT(data_uses > 0);
  --data_uses;
  if (releasing) gate_changed.wake_all();
}

// Everything that is cached under the lock becomes clean and goes. The order: bytes to their targets, the kernel's
// pages (which may bring more bytes), sizes to the metadata server, names and attributes, our own caches.
Task<> FileSystem::Impl::prepare_release() {
  const std::uint64_t before = epoch;
  // Answers of calls that just ended reach the kernel before what they say is expired there.
  co_await yield_now(runtime);
  if (epoch != before) co_return;
  releasing = true;
  gate_changed.wake_all();
  co_await attributes_told();
  if (epoch != before) co_return;
  static_cast<void>(co_await plane.flush_all());
  co_await drop_all_pages();
  while (epoch == before && data_uses != 0) co_await gate_changed.wait();
  if (epoch != before) co_return;
  sealed = true;
  const Status flushed = co_await plane.flush_all();
  if (!flushed.ok()) log.warning("writing back before giving up the lock: %s", code_name(flushed.code));
  if (epoch != before) co_return;
  const Status sent_all = co_await send_everything();
  if (!sent_all.ok()) log.warning("sending sizes before giving up the lock: %s", code_name(sent_all.code));
  if (epoch != before) co_return;
  expiring = true;
  co_await attributes_told();
  if (epoch != before) co_return;
  // An answer may have come with news: a size that only the objects knew.
  const Status sent_rest = co_await send_everything();
  if (!sent_rest.ok()) log.warning("sending sizes before giving up the lock: %s", code_name(sent_rest.code));
  if (epoch != before) co_return;
  if (kernel != nullptr) kernel->expire_names();
  names.clear();
  inodes.drop_all();
  plane.drop_all();
  if (kernel != nullptr) {
    co_await kernel->settle();
    ++expiries;
    if (epoch != before) co_return;
  }
  held = Mode::none;
  releasing = false;
  sealed = false;
  expiring = false;
  gate_changed.wake_all();
}

// Until no page of the inode can be in the kernel. Requests that arrived before a drop began had their pages locked by
// then: that drop waits for them and takes their pages. Those that arrive while it runs may bring pages behind its
// back, so it runs again. Lest busy readers make it run for ever, from the second time on they are held up for a
// moment, which is enough for a drop that does not wait for one of them.
Task<> FileSystem::Impl::drop_pages_of(fs::InodeId inode) {
  const std::uint64_t before = epoch;
  for (int round = 0;; ++round) {
    auto pages = paged.find(inode);
    if (pages == paged.end()) co_return;
    pages->second.entered = false;
    if (round > 0) {
      held_up = inode;
      hold_up_alarm.set(kHoldUpNs);
    }
    if (kernel != nullptr) {
      co_await attributes_told();
      if (epoch != before) co_return;
      co_await kernel->drop_pages(inode);
    }
    if (epoch != before) co_return;
    stop_holding_up();
    pages = paged.find(inode);
    if (pages == paged.end()) co_return;
    if (!pages->second.entered) {
      paged.erase(pages);
      co_return;
    }
  }
}

void FileSystem::Impl::stop_holding_up() {
  if (held_up == fs::kNoInode) return;
  held_up = fs::kNoInode;
  hold_up_alarm.clear();
  gate_changed.wake_all();
}

Task<> FileSystem::Impl::drop_all_pages() {
  const std::uint64_t before = epoch;
  while (epoch == before && !paged.empty()) co_await drop_pages_of(paged.begin()->first);
}

// Too many inodes have pages: one pass over some of them, leaving those in use alone.
Task<> FileSystem::Impl::trim_pages() {
  fs::InodeId next = 0;
  while (paged.size() > kPagedMax / 8 * 7 && !releasing) {
    auto pages = paged.lower_bound(next);
    if (pages == paged.end()) break;
    const fs::InodeId inode = pages->first;
    next = inode + 1;
    if (pages->second.running != 0) continue;
    pages->second.entered = false;
    if (kernel != nullptr) co_await kernel->drop_pages(inode);
    pages = paged.find(inode);
    if (pages != paged.end() && pages->second.running == 0 && !pages->second.entered) paged.erase(pages);
  }
  trimming = false;
}

}  // namespace rideau::client
