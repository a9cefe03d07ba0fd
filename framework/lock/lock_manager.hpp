// SPDX-License-Identifier: Apache-2.0
// The server's side of locking: resources, modes, grants by number, fair waiting, revocation. It knows resources and
// modes, not files.
//
// Holders are sessions; a session holds a resource in at most one mode. Each grant has a number, which grows with every
// grant of the manager; a holder gives back by number, so that what is on its way to it is never mixed up with what it
// has. There are three ways to a resource:
// - try_grant(): what rides beside an answer. At once or not at all, and never past somebody who waits.
// - acquire(): waits in order of arrival.
// - claim(): an operation of the server itself needs that no other session holds the resource in a conflicting mode at
//   one moment. It holds nothing; from when it is wanted to end_claim(), nothing that conflicts is granted to others.
//   Claims do not wait for each other, only for holders, who can always give back: so no order of claims is a circle.
// Holders in the way are asked (Events::revoke) to give back, once for each strength of conflict.
//
// What several sessions change in turn is better held by nobody: each grant costs a revocation at the next change. A
// resource that was asked back twice within kOftenNs is contended for the next kWithheldNs.
//
// A million locks take about 120 MB: 56 bytes for a lock and 32 for a resource, and what the allocator adds.
#pragma once

#include "framework/base/result.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rideau::lock {

using ResourceId = std::uint64_t;
using HolderId = std::uint64_t;  // a session
using GrantNumber = std::uint64_t;

enum class Mode : std::uint32_t { none = 0, shared = 1, exclusive = 2 };

constexpr bool compatible(Mode a, Mode b) noexcept {
  return a == Mode::none || b == Mode::none || (a == Mode::shared && b == Mode::shared);
}

struct Grant {
  Mode mode = Mode::none;
  GrantNumber number = 0;
};

constexpr std::uint64_t kOftenNs = kSecond;
constexpr std::uint64_t kWithheldNs = 100 * kMillisecond;

class LockManager {
 public:
  class Events {
   public:
    // `holder` is in the way of a request for `wanted`. It answers by release(), later.
    virtual void revoke(HolderId holder, ResourceId resource, GrantNumber number, Mode wanted) = 0;

   protected:
    ~Events() = default;
  };

  LockManager(Runtime& runtime, Events& events) : runtime_(runtime), events_(events) {}
  ~LockManager();
  LockManager(const LockManager&) = delete;
  LockManager& operator=(const LockManager&) = delete;

  // With so many locks try_grant() makes no new one.
  void set_limit(std::size_t locks) noexcept { locks_max_ = locks; }
  // Grants have greater numbers from now on. Before the first one.
  void number_from(GrantNumber number) noexcept { last_number_ = number; }
  // What the holder has afterwards: `mode` or stronger where that is possible at once, else what it had before.
  Grant try_grant(HolderId holder, ResourceId resource, Mode mode);
  // Waits until the lock is granted; until told() it is not asked back. closed: the holder was dropped meanwhile.
  Task<Status> acquire(HolderId holder, ResourceId resource, Mode mode);
  // The holder knows of what acquire() granted, or will before anything that is sent to it from now on.
  void told(HolderId holder, ResourceId resource);
  // Whether no other session holds the resource in a mode that conflicts.
  bool is_free_for(HolderId holder, ResourceId resource, Mode mode) const noexcept;
  // Waits until is_free_for(); ends with end_claim() when it was granted. closed: the holder was dropped meanwhile.
  Task<Status> claim(HolderId holder, ResourceId resource, Mode mode);
  void end_claim(HolderId holder, ResourceId resource, Mode mode);
  // From now on it is noted whether anybody is granted the resource exclusively. One watch of a resource at a time.
  void watch(ResourceId resource) { watched_.insert_or_assign(resource, false); }
  // Notes it in other words: weaker locks are as good as that from now on.
  void note_watched(ResourceId resource) noexcept {
    if (const auto watch = watched_.find(resource); watch != watched_.end()) watch->second = true;
  }
  // Ends the watch, and tells whether somebody was.
  bool end_watch(ResourceId resource);
  // Gives back what the holder has of the resource, unless that was granted after `number`.
  void release(HolderId holder, ResourceId resource, GrantNumber number);
  // The resource is gone for ever: so are the locks of it.
  void forget(ResourceId resource);
  // The session ended: all its locks and waiting requests go.
  void drop(HolderId holder);
  // The session is about to end: its waiting requests go, what it holds stays until drop().
  void drop_waiting(HolderId holder);

  // Whether a grant would soon be asked back, as others were. For those who can do without.
  bool is_contended(ResourceId resource) const noexcept;

  bool holds(HolderId holder) const noexcept { return count(holder) != 0; }  // anything
  std::size_t count(HolderId holder) const noexcept;                         // of its locks
  std::size_t count() const noexcept { return locks_; }                      // of all locks
  Grant held(HolderId holder, ResourceId resource) const noexcept;
  // Whether the holder has the resource, and was asked to give it back.
  bool is_asked_back(HolderId holder, ResourceId resource) const noexcept;
  // Other sessions' locks of the resource that conflict with the mode; empty: is_free_for().
  struct Held {
    HolderId holder = 0;
    GrantNumber number = 0;
    friend bool operator==(const Held&, const Held&) = default;
  };
  std::vector<Held> in_the_way(HolderId holder, ResourceId resource, Mode mode) const;
  HolderId first_waiting(ResourceId resource) const noexcept;  // 0: nobody

 private:
  // Of a resource that was asked back not long ago.
  struct AskedBack {
    std::uint64_t last_ns = 0;
    std::uint64_t contended_until_ns = 0;
  };
  // One lock: in the chain of its resource, and in the list of its holder, the newest first.
  struct Lock {
    HolderId holder;
    ResourceId resource;
    GrantNumber number;
    Lock* next;
    Lock* newer;
    Lock* older;
    Mode mode;
    std::uint8_t asked_for;  // strongest mode that its holder was asked to make way for
    bool untold;             // its holder may not know of it yet
  };
  struct Waiter {
    HolderId holder;
    Mode mode;
    Completion* done;  // of claims: null once it was granted
  };
  struct Queue {
    std::deque<Waiter> waiters;
    std::vector<Waiter> claims;
  };
  struct Resource {
    Lock* first = nullptr;
    std::unique_ptr<Queue> queue;  // while anybody waits or claims
  };
  struct Holder {
    Lock* newest = nullptr;
    std::size_t count = 0;
    std::vector<ResourceId> waits;  // with one entry for each request that waits
  };

  Lock* find(const Resource& resource, HolderId holder) const noexcept;
  Lock* find(HolderId holder, ResourceId resource) const noexcept;
  static bool is_free(const Resource& resource, HolderId holder, Mode mode) noexcept;
  static bool is_claimed(const Resource& resource, HolderId holder, Mode mode) noexcept;
  static Queue& queue_of(Resource& resource);
  Lock& grant(Resource& resource, ResourceId id, HolderId holder, Mode mode);
  void remove(Resource& resource, Lock* lock);
  void stop_waiting(HolderId holder, ResourceId resource);
  // After anything changed: grants what can be granted, asks who is in the way, forgets what nobody uses.
  void settle(ResourceId id);
  void ask(ResourceId id, Resource& resource, HolderId holder, Mode mode, std::vector<Lock*>& asked);
  void forget_if_unused(HolderId id);
  void note_asked_back(ResourceId id);

  Runtime& runtime_;
  Events& events_;
  std::unordered_map<ResourceId, Resource> resources_;
  std::map<HolderId, Holder> holders_;
  std::unordered_map<ResourceId, AskedBack> asked_back_;
  std::map<ResourceId, bool> watched_;
  std::deque<std::pair<std::uint64_t, ResourceId>> asked_back_order_;  // when, oldest first
  std::size_t locks_ = 0;
  std::size_t locks_max_ = SIZE_MAX;
  GrantNumber last_number_ = 0;
};

}  // namespace rideau::lock
