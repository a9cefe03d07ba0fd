// SPDX-License-Identifier: Apache-2.0
// The server's side of locking: resources, modes, a fair queue, revocation. It knows resources and modes, not files.
//
// Holders are sessions; a session holds a resource in at most one mode. A request that conflicts waits in order of
// arrival; nobody overtakes a waiter that conflicts with him. Holders in the way are asked (Events::revoke) to give
// back, once for each conflict. A session that holds `shared` and asks for `exclusive` converts: its request goes to
// the head of the queue, and where two convert, one is asked to give back what it holds and then waits like everybody.
#pragma once

#include "framework/base/result.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace rideau::lock {

using ResourceId = std::uint64_t;
using HolderId = std::uint64_t;  // a session

enum class Mode : std::uint32_t { none = 0, shared = 1, exclusive = 2 };

constexpr bool compatible(Mode a, Mode b) noexcept {
  return a == Mode::none || b == Mode::none || (a == Mode::shared && b == Mode::shared);
}

class LockManager {
 public:
  class Events {
   public:
    // `holder` is in the way of a request for `wanted`. It answers by release(), later.
    virtual void revoke(HolderId holder, ResourceId resource, Mode wanted) = 0;

   protected:
    ~Events() = default;
  };

  LockManager(Runtime& runtime, Events& events) : runtime_(runtime), events_(events) {}
  LockManager(const LockManager&) = delete;
  LockManager& operator=(const LockManager&) = delete;

  // Waits until the lock is granted. closed: the holder was dropped meanwhile.
  Task<Status> acquire(HolderId holder, ResourceId resource, Mode mode);
  // Gives back what the holder has of the resource; nothing when it has nothing.
  void release(HolderId holder, ResourceId resource);
  // The session ended: all its locks and waiting requests go.
  void drop(HolderId holder);
  // The session is about to end: its waiting requests go, what it holds stays until drop().
  void drop_waiting(HolderId holder);
  bool holds(HolderId holder) const noexcept;  // anything
  Mode held(HolderId holder, ResourceId resource) const noexcept;
  std::size_t waiting() const noexcept;
  HolderId first_waiting(ResourceId resource) const noexcept;  // 0: nobody

 private:
  struct Waiter {
    HolderId holder;
    Mode mode;
    Completion* done;
  };
  struct Holding {
    Mode mode;
    Mode asked_for;  // strongest mode that its holder was asked to make way for; none: not asked
  };
  struct Resource {
    std::map<HolderId, Holding> holders;
    std::deque<Waiter> waiters;
  };

  bool grantable(const Resource& resource, HolderId holder, Mode mode) const noexcept;
  void grant_waiters(ResourceId id, Resource& resource);
  void revoke_conflicts(ResourceId id, Resource& resource);
  void enqueue(ResourceId id, Waiter waiter);
  void settle(const std::vector<ResourceId>& touched);
  void forget_if_unused(ResourceId id);

  Runtime& runtime_;
  Events& events_;
  std::map<ResourceId, Resource> resources_;
};

}  // namespace rideau::lock
