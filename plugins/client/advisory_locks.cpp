// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/advisory_locks.hpp"

#include "framework/rpc/call.hpp"

#include <cerrno>

namespace rideau::client {
namespace {

fs::SetAdvisoryLockRequest request_of(fs::InodeId inode, const AdvisoryLock& lock) {
  fs::SetAdvisoryLockRequest request;
  request.inode = inode;
  request.owner = lock.owner;
  request.family = static_cast<std::uint32_t>(lock.family);
  request.mode = static_cast<std::uint32_t>(lock.mode);
  request.first = lock.range.first;
  request.last = lock.range.last;
  request.wait = lock.wait;
  request.process = lock.process;
  return request;
}

}  // namespace

Task<Status> AdvisoryLocks::set(fs::InodeId inode, const AdvisoryLock& lock, Interruption* interruption) {
  const Key key{inode, lock.family, lock.owner};
  const auto known = held_.find(key);
  const bool nothing = known == held_.end() || known->second.nothing();
  if (lock.mode == lock::Mode::none && nothing) co_return kOk;
  Held& held = held_[key];
  if (lock.mode != lock::Mode::none) {
    held.handles.insert(lock.handle);
    held.process = lock.process;
  }
  if (held.calls++ != 0) held.unsure = true;

  fs::SetAdvisoryLockRequest request = request_of(inode, lock);
  const std::uint64_t before = epoch_;
  Status status;
  bool again = true;
  while (again) {
    Wait waiting(runtime_);
    // Before the call: the grant may be told before the answer.
    if (lock.wait) {
      request.ticket = ++last_ticket_;
      waits_.emplace(request.ticket, &waiting);
    }
    const auto reply = co_await meta_.set_advisory_lock(request);
    status = reply.status;
    if (status.ok() && reply.body.waits) status = co_await wait(request.ticket, waiting, interruption);
    waits_.erase(request.ticket);
    again = waiting.again && !waiting.granted && !waiting.lost && !stopping_ && status.ok();
  }
  if (epoch_ == before) take_note(key, lock, status);
  co_return status;
}

Task<Status> AdvisoryLocks::wait(std::uint64_t ticket, Wait& wait, Interruption* interruption) {
  const auto interrupted = [&] { return interruption != nullptr && interruption->wanted(); };
  wait.queued = true;
  if (interruption != nullptr) interruption->wakes(&wait.woken);
  while (!wait.granted && !wait.lost && !wait.again && !stopping_ && !interrupted()) co_await wait.woken.wait();
  if (interruption != nullptr) interruption->wakes(nullptr);
  if (wait.granted) co_return kOk;
  if (wait.again && !wait.lost && !stopping_) co_return interrupted() ? posix_error(EINTR) : kOk;
  if (wait.lost) co_return rpc::kOutcomeUnknown;
  if (stopping_) co_return Status{Code::closed, 0, "the file system is stopped"};
  const auto reply = co_await meta_.cancel_advisory_lock(ticket);
  if (reply.ok() && !reply.body.cancelled) co_return kOk;  // the grant was faster
  if (reply.ok() || rpc::is_never_sent(reply.status) || rpc::is_outcome_unknown(reply.status)) {
    co_return posix_error(EINTR);  // with its session the wait is gone as well
  }
  co_return reply.status;
}

void AdvisoryLocks::take_note(const Key& key, const AdvisoryLock& lock, Status status) {
  const auto found = held_.find(key);
  if (found == held_.end()) return;
  Held& held = found->second;
  --held.calls;
  if (status.ok()) {
    held.ranges.set(lock.range, lock.mode);
  } else if (status.code != Code::posix) {
    held.unsure = true;
  } else if (lock.family == lock::RangeFamily::whole) {
    held.ranges.set(lock.range, lock::Mode::none);  // flock(2) gives up before it asks for another mode
  }
  if (held.nothing()) held_.erase(found);
}

Task<Result<AdvisoryConflict>> AdvisoryLocks::test(fs::InodeId inode, const AdvisoryLock& lock) {
  fs::TestAdvisoryLockRequest request;
  request.inode = inode;
  request.owner = lock.owner;
  request.family = static_cast<std::uint32_t>(lock.family);
  request.mode = static_cast<std::uint32_t>(lock.mode);
  request.first = lock.range.first;
  request.last = lock.range.last;
  const auto reply = co_await meta_.test_advisory_lock(request);
  if (!reply.ok()) co_return reply.status;
  const fs::TestAdvisoryLockReply& found = reply.body;
  const bool strange = found.mode > static_cast<std::uint32_t>(lock::Mode::exclusive) || found.first > found.last ||
                       found.last > lock::kRangeLast;
  if (strange) co_return Status{Code::invalid, 0, "a lock that cannot be"};
  co_return AdvisoryConflict{{{found.first, found.last}, static_cast<lock::Mode>(found.mode)}, found.process};
}

Task<Status> AdvisoryLocks::on_close(fs::InodeId inode, fs::HandleId handle, std::uint64_t owner) {
  const Key key{inode, lock::RangeFamily::records, owner};
  if (!held_.contains(key)) co_return kOk;
  const Status status = co_await give_up(key, handle);
  co_return status;
}

Task<> AdvisoryLocks::on_release(fs::InodeId inode, fs::HandleId handle) {
  std::vector<Key> keys;
  for (auto at = held_.lower_bound(Key{inode, lock::RangeFamily::records, 0});
       at != held_.end() && at->first.inode == inode; ++at) {
    if (at->second.handles.contains(handle)) keys.push_back(at->first);
  }
  for (const Key& key : keys) static_cast<void>(co_await give_up(key, handle));
}

// All that the owner holds of the file.
Task<Status> AdvisoryLocks::give_up(Key key, fs::HandleId closed) {
  const auto found = held_.find(key);
  if (found == held_.end()) co_return kOk;
  Held& held = found->second;
  if (held.calls == 0) {
    held_.erase(found);
  } else {
    // A thread of the same process waits for another lock of the file, which it will get in spite of this close.
    held.unsure = true;
    held.handles.erase(closed);
  }
  AdvisoryLock everything;
  everything.owner = key.owner;
  everything.family = key.family;
  const fs::SetAdvisoryLockRequest request = request_of(key.inode, everything);
  const auto reply = co_await meta_.set_advisory_lock(request);
  const bool gone = reply.ok() || rpc::is_never_sent(reply.status) || rpc::is_outcome_unknown(reply.status);
  if (gone) co_return kOk;
  log_.warning("locks of inode %llu were not given up: %s", static_cast<unsigned long long>(key.inode),
               code_name(reply.status.code));
  co_return reply.status;
}

void AdvisoryLocks::granted(const std::vector<std::uint64_t>& tickets) {
  for (const std::uint64_t ticket : tickets) {
    const auto wait = waits_.find(ticket);
    if (wait == waits_.end()) continue;
    wait->second->granted = true;
    wait->second->woken.wake_all();
  }
}

std::set<fs::HandleId> AdvisoryLocks::on_new_epoch() {
  ++epoch_;
  std::set<fs::HandleId> lost;
  for (const auto& [key, held] : held_) {
    if (held.unsure || !held.ranges.empty()) lost.insert(held.handles.begin(), held.handles.end());
  }
  held_.clear();
  for (const auto& [ticket, wait] : waits_) {
    wait->lost = true;
    wait->woken.wake_all();
  }
  return lost;
}

std::vector<fs::SetAdvisoryLockRequest> AdvisoryLocks::held() const {
  std::vector<fs::SetAdvisoryLockRequest> all;
  for (const auto& [key, held] : held_) {
    AdvisoryLock lock;
    lock.owner = key.owner;
    lock.family = key.family;
    lock.process = held.process;
    for (const lock::HeldRange& one : held.ranges.all()) {
      lock.range = one.range;
      lock.mode = one.mode;
      all.push_back(request_of(key.inode, lock));
    }
  }
  return all;
}

void AdvisoryLocks::wait_again() {
  for (const auto& [ticket, wait] : waits_) {
    if (!wait->queued || wait->granted) continue;
    wait->again = true;
    wait->woken.wake_all();
  }
}

void AdvisoryLocks::stop_waiting() {
  stopping_ = true;
  for (const auto& [ticket, wait] : waits_) wait->woken.wake_all();
}

}  // namespace rideau::client
