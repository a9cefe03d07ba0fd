// SPDX-License-Identifier: Apache-2.0
// Locks of ranges of a resource, shared or exclusive, that sessions hold until they are asked back: so that several can
// cache different parts of one thing. It knows resources and positions, not files.
//
// A grant is as large as nobody else's wish forbids: it grows downwards and upwards from what was asked for to the next
// range that another session holds, or waits for, in a mode that conflicts. Who asks for a range is served in order of
// arrival among those whose ranges conflict; but who has what an earlier one waits for goes first, since he may have to
// end what he does before he can give it back. Holders in the way are asked (Events::revoke_extent) for the range that
// is wanted, once, and may give back more. What a session holds of a resource is a set of ranges; a grant over a range
// that it has makes that the stronger of both.
//
// Grants have numbers, which grow over all of a manager's. A range is given back by number: what was granted later than
// that stays, so answers, callbacks and give-backs may meet on the way.
#pragma once

#include "framework/base/result.hpp"
#include "framework/lock/lock_manager.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <vector>

namespace rideau::lock {

constexpr std::uint64_t kExtentEnd = UINT64_MAX;  // behind every position

// `end` does not belong to it.
struct Extent {
  std::uint64_t begin = 0;
  std::uint64_t end = kExtentEnd;
  bool empty() const noexcept { return begin >= end; }
  bool overlaps(Extent other) const noexcept { return begin < other.end && other.begin < end; }
  bool contains(Extent other) const noexcept { return begin <= other.begin && other.end <= end; }
  bool operator==(const Extent&) const = default;
};

struct ExtentGrant {
  Extent range{};
  Mode mode = Mode::none;
  GrantNumber number = 0;
};

class ExtentLocks {
 public:
  class Events {
   public:
    // `holder` is in the way of a request for `wanted`. It answers by release(), later. Called in the middle of the
    // manager's work: must not call it back.
    virtual void revoke_extent(HolderId holder, ResourceId resource, Extent range, GrantNumber number, Mode wanted) = 0;

   protected:
    ~Events() = default;
  };

  ExtentLocks(Runtime& runtime, Events& events) : runtime_(runtime), events_(events) {}
  ExtentLocks(const ExtentLocks&) = delete;
  ExtentLocks& operator=(const ExtentLocks&) = delete;

  // Grants have greater numbers from now on. Before the first one.
  void number_from(GrantNumber number) noexcept { last_number_ = number; }
  // Waits until all of `wanted` is granted; until told() it is not asked back. busy: the resource was forgotten
  // meanwhile, or what the holder had of it dropped; closed: the holder was.
  Task<Result<ExtentGrant>> acquire(HolderId holder, ResourceId resource, Extent wanted, Mode mode);
  // The holder knows of this grant, or will before anything that is sent to it from now on.
  void told(HolderId holder, ResourceId resource, GrantNumber number);
  // Exactly this, at once or not at all. Nobody waits meanwhile.
  bool put(HolderId holder, ResourceId resource, Extent range, Mode mode);
  // Gives back what the holder has of the range, but what was granted after `number`.
  void release(HolderId holder, ResourceId resource, Extent range, GrantNumber number);
  // What the holder has of the resource, and its requests for it, end.
  void drop(HolderId holder, ResourceId resource);
  // All that is held of the resource goes, and every request for it ends.
  void forget(ResourceId resource);
  // The session ended: all that it holds and waits for goes.
  void drop(HolderId holder);
  // The session is about to end: its requests end, what it holds stays until drop().
  void drop_waiting(HolderId holder);

  // Whether the holder was asked for some of this, under such a number, and has it still.
  bool owes(HolderId holder, ResourceId resource, Extent range, GrantNumber number) const;
  // Whether the holder has all of the range in this mode or a stronger one.
  bool holds(HolderId holder, ResourceId resource, Extent range, Mode mode) const;
  // Sessions but this one that have some of the resource exclusively, in ascending order.
  std::vector<HolderId> writers(ResourceId resource, HolderId except) const;
  HolderId first_waiting(ResourceId resource) const noexcept;  // 0: nobody
  GrantNumber last_number() const noexcept { return last_number_; }
  std::size_t count(HolderId holder) const noexcept;  // of its ranges
  std::size_t count() const noexcept { return count_; }

 private:
  struct Piece {
    std::uint64_t end;
    GrantNumber number;
    Mode mode;
    Mode asked_for;  // strongest mode that its holder was asked to make way for
    bool untold;     // its holder may not know of it yet
  };
  using Pieces = std::map<std::uint64_t, Piece>;  // by their begin; they do not overlap
  struct Waiter {
    HolderId holder;
    Extent wanted;
    Mode mode;
    Completion* done;
    ExtentGrant* granted;
  };
  struct Resource {
    std::map<HolderId, Pieces> holders;
    std::deque<Waiter> queue;
  };
  using Resources = std::map<ResourceId, Resource>;

  // The first piece that ends behind `position`.
  static Pieces::iterator behind(Pieces& pieces, std::uint64_t position);
  static Pieces::const_iterator behind(const Pieces& pieces, std::uint64_t position);
  void split(Pieces& pieces, std::uint64_t position);
  bool join_with_next(Pieces& pieces, Pieces::iterator at);
  static bool conflicts(const Resource& resource, HolderId holder, Extent range, Mode mode);
  // Whether the holder has what the other one waits for.
  static bool keeps_waiting(const Resource& resource, HolderId holder, const Waiter& other);
  static bool is_behind_others(const Resource& resource, std::size_t index);
  static Extent grown(const Resource& resource, const Waiter& of);
  ExtentGrant grant(ResourceId id, Resource& resource, HolderId holder, Extent range, Mode mode);
  void ask(ResourceId id, Resource& resource, const Waiter& waiter);
  void end_waits(ResourceId id, HolderId holder, bool of_all, Status status);
  // After anything changed: grants what can be granted, asks who is in the way, forgets what nobody uses.
  void settle(ResourceId id);

  Runtime& runtime_;
  Events& events_;
  Resources resources_;
  std::map<HolderId, std::set<ResourceId>> used_by_;  // held or waited for
  std::size_t count_ = 0;
  GrantNumber last_number_ = 0;
};

}  // namespace rideau::lock
