// SPDX-License-Identifier: Apache-2.0
// Locks that programs take with flock(2) and fcntl(2), for all clients of a target. In memory: after a restart
// clients claim them again, a session that ends takes its own with it. No call waits for a lock: who has to is told so,
// and called back when the lock is granted.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/lock/range_locks.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/sessions.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace rideau::mds {

class AdvisoryLocks final : lock::RangeLocks::Events {
 public:
  using Evict = std::function<void(std::uint64_t session, const std::string& reason)>;
  // Everything is lent; `evict` ends a session that does not answer.
  AdvisoryLocks(Runtime& runtime, SessionTable& sessions, TaskGroup& tasks, Evict evict);

  Result<fs::SetAdvisoryLockReply> set(std::uint64_t session, const fs::SetAdvisoryLockRequest& request);
  Result<fs::TestAdvisoryLockReply> test(std::uint64_t session, const fs::TestAdvisoryLockRequest& request);
  Result<fs::CancelAdvisoryLockReply> cancel(std::uint64_t session, const fs::CancelAdvisoryLockRequest& request);
  // Somebody waits for, or was refused for, what this session has locked.
  bool in_the_way(std::uint64_t session) const;
  // The session has ended or is about to.
  void drop(std::uint64_t session);

  std::size_t held() const noexcept { return table_.ranges(); }
  std::size_t waiting() const noexcept { return table_.waits(); }

 private:
  void granted(lock::HolderId session, std::uint64_t ticket) override;
  Task<> tell(std::uint64_t session);

  Runtime& runtime_;
  SessionTable& sessions_;
  TaskGroup& tasks_;
  Evict evict_;
  lock::RangeLocks table_;
  // Grants that a client was not told of yet. While there is an entry, a task tells them.
  std::map<std::uint64_t, std::vector<std::uint64_t>> to_tell_;
  std::set<std::uint64_t> refused_for_;  // sessions whose locks made others fail
};

}  // namespace rideau::mds
