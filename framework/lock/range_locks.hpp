// SPDX-License-Identifier: Apache-2.0
// Locks of ranges that programs take of each other's own accord: a table of who holds which range of what, in which
// mode, and of who waits. It knows resources, owners, ranges and modes, no files; nothing in it waits or sends.
//
// Who asks is granted what no other owner's lock conflicts with; those who wait do not count, so a try fails only where
// a lock is in its way. When locks go, those who wait are granted in the order in which they came, as far as they can
// be. The rules are those of Linux: fcntl_locking(2) for the family `records`, flock(2) for the family `whole`.
#pragma once

#include "framework/lock/owned_ranges.hpp"

#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace rideau::lock {

// records: a new mode takes the place of the old one in one step, and a wait that would close a circle of owners who
// wait for each other is refused. whole: who changes the mode gives up first what he had, so he may lose it.
enum class RangeFamily : std::uint32_t { records = 1, whole = 2 };

struct RangeResource {
  std::uint64_t object = 0;
  RangeFamily family = RangeFamily::records;  // families do not hinder each other
  auto operator<=>(const RangeResource&) const = default;
};

struct RangeOwner {
  HolderId session = 0;
  std::uint64_t number = 0;  // within the session
  auto operator<=>(const RangeOwner&) const = default;
};

struct RangeRequest {
  RangeResource resource;
  RangeOwner owner;
  Range range;
  Mode mode = Mode::none;     // none: gives up
  bool wait = false;          // where it conflicts
  std::uint64_t ticket = 0;   // of a wait: chosen by the session, not twice at a time
  std::uint32_t process = 0;  // for people
};

struct RangeConflict {
  HeldRange held;
  RangeOwner owner;
  std::uint32_t process = 0;
};

class RangeLocks {
 public:
  class Events {
   public:
    // A request that waited is granted. Called in the middle of the table's work: must not call it back.
    virtual void granted(HolderId session, std::uint64_t ticket) = 0;

   protected:
    ~Events() = default;
  };
  struct Bounds {
    std::size_t ranges_per_session;
    std::size_t waits_per_session;
  };
  enum class Outcome { granted, waits, conflicts, closes_circle, too_many, ticket_in_use };

  RangeLocks(Events& events, Bounds bounds) : events_(events), bounds_(bounds) {}
  RangeLocks(const RangeLocks&) = delete;
  RangeLocks& operator=(const RangeLocks&) = delete;

  Outcome set(const RangeRequest& request);
  // What is in the way of such a lock: of several the one that begins first.
  std::optional<RangeConflict> test(const RangeResource& resource, const RangeOwner& owner, Range range,
                                    Mode mode) const;
  // Whether somebody waits for a resource on which the session holds anything.
  bool waited_for(HolderId session) const;
  // The request waits no longer. false: it did not wait (any more).
  bool cancel(HolderId session, std::uint64_t ticket);
  // The session is gone, and with it all that its owners hold and wait for.
  void drop(HolderId session);

  std::size_t ranges() const noexcept { return ranges_; }
  std::size_t waits() const noexcept { return waits_.size(); }
  std::size_t resources() const noexcept { return resources_.size(); }

 private:
  struct Ticket {
    HolderId session;
    std::uint64_t number;
    auto operator<=>(const Ticket&) const = default;
  };
  struct Holding {
    OwnedRanges ranges;
    std::uint32_t process = 0;
  };
  struct Resource {
    std::map<RangeOwner, Holding> holders;
    std::list<Ticket> queue;
  };
  struct Session {
    std::size_t ranges = 0;
    std::size_t waits = 0;
    std::set<RangeResource> held;
  };

  void put(const RangeRequest& request, Mode mode);
  Outcome enqueue(const RangeRequest& request);
  void grant_waiting(const RangeResource& id);
  void stop_waiting(const Ticket& ticket);
  void forget_if_unused(const RangeResource& id);
  void forget_if_unused(HolderId session);
  bool closes_circle(const RangeRequest& request) const;
  std::vector<RangeOwner> in_the_way_of(const RangeRequest& request) const;

  Events& events_;
  Bounds bounds_;
  std::map<RangeResource, Resource> resources_;
  std::map<Ticket, RangeRequest> waits_;
  std::map<RangeOwner, std::set<Ticket>> waits_of_;
  std::map<HolderId, Session> sessions_;
  std::size_t ranges_ = 0;
};

}  // namespace rideau::lock
