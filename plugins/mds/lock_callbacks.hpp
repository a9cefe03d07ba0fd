// SPDX-License-Identifier: Apache-2.0
// Asks sessions to give locks back: in batches, one callback at a time to each; sees to it that they do, and has those
// evicted that do not.
#pragma once

#include "framework/lock/extent_locks.hpp"
#include "framework/lock/lock_manager.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/mds/evictions.hpp"
#include "plugins/mds/rest.hpp"
#include "plugins/mds/sessions.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

namespace rideau::mds {

class LockCallbacks final : public lock::LockManager::Events, public lock::ExtentLocks::Events {
 public:
  using Evict = std::function<void(std::uint64_t session, const std::string& reason)>;
  // Everything is lent.
  LockCallbacks(Runtime& runtime, SessionTable& sessions, TaskGroup& tasks, Rest& rest, Evict evict)
      : runtime_(runtime), sessions_(sessions), tasks_(tasks), rest_(rest), evict_(std::move(evict)) {}
  LockCallbacks(const LockCallbacks&) = delete;
  LockCallbacks& operator=(const LockCallbacks&) = delete;

  void set_locks(lock::LockManager& locks, lock::ExtentLocks& extents) noexcept {
    locks_ = &locks;
    extents_ = &extents;
  }
  void revoke(lock::HolderId holder, lock::ResourceId resource, lock::GrantNumber number, lock::Mode wanted) override;
  void revoke_extent(lock::HolderId holder, lock::ResourceId resource, lock::Extent range, lock::GrantNumber number,
                     lock::Mode wanted) override;
  // Tells the session how many locks it may keep from now on.
  void set_budget(lock::HolderId holder, std::uint64_t locks);
  // What the session owes for the longest time; null: nothing.
  const Evictions::Asked* oldest(lock::HolderId holder);
  bool owes(lock::HolderId holder) { return oldest(holder) != nullptr; }
  void forget(lock::HolderId holder) { sessions_asked_.erase(holder); }
  std::uint64_t asked() const noexcept { return asked_; }                  // locks, since the start
  std::uint64_t asked_extents() const noexcept { return asked_extents_; }  // of them, parts of files

 private:
  struct Ask {
    Evictions::Asked about;
    lock::GrantNumber number = 0;
    bool is_part = false;  // of a file
    lock::Extent range{};
  };
  struct Asks {
    std::deque<Ask> unsent;
    std::uint64_t budget = 0;  // to be told; 0: nothing
    std::deque<Ask> sent;      // in the order in which they were
    bool sending = false;
    bool watching = false;
  };
  void ask(lock::HolderId holder, lock::HolderId waiting, Ask ask);
  Asks& kick(lock::HolderId holder);
  Task<> send(lock::HolderId holder);
  Task<> watch(lock::HolderId holder);
  bool is_owed(lock::HolderId holder, const Ask& ask) const;
  Asks* find(lock::HolderId holder);

  Runtime& runtime_;
  SessionTable& sessions_;
  TaskGroup& tasks_;
  Rest& rest_;
  Evict evict_;
  lock::LockManager* locks_ = nullptr;
  lock::ExtentLocks* extents_ = nullptr;
  std::map<lock::HolderId, Asks> sessions_asked_;
  std::uint64_t asked_ = 0;
  std::uint64_t asked_extents_ = 0;
};

}  // namespace rideau::mds
