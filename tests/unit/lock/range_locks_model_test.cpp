// SPDX-License-Identifier: Apache-2.0
// Goal: random requests of a few owners on a few short files have the same outcome in the table and in a plain model
// that writes down one mode for each owner and position, and looks for circles by closing the relation "waits for".
#include "framework/lock/range_locks.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <random>
#include <vector>

namespace rideau::lock {
namespace {

using Outcome = RangeLocks::Outcome;

constexpr std::size_t kSessions = 3;
constexpr std::size_t kOwners = 6;  // two of each session
constexpr std::size_t kResources = 4;
constexpr std::uint64_t kPositions = 12;

RangeOwner owner_of(std::size_t index) { return {index % kSessions + 1, index / kSessions}; }
RangeResource resource_of(std::size_t index) {
  return {index / 2, index % 2 == 0 ? RangeFamily::records : RangeFamily::whole};
}

struct Wait {
  std::size_t resource;
  std::size_t owner;
  Range range;
  Mode mode;
  std::uint64_t ticket;
};

struct Model {
  std::array<std::array<std::array<Mode, kPositions>, kOwners>, kResources> held{};
  std::vector<Wait> waits;
  std::vector<std::uint64_t> granted;

  bool in_the_way(const Wait& of, std::size_t other) const {
    if (other == of.owner) return false;
    for (std::uint64_t at = of.range.first; at <= of.range.last; ++at) {
      if (!compatible(held[of.resource][other][at], of.mode)) return true;
    }
    return false;
  }
  bool free(const Wait& wait) const {
    for (std::size_t other = 0; other < kOwners; ++other) {
      if (in_the_way(wait, other)) return false;
    }
    return true;
  }
  bool closes_circle(const Wait& wait) const {
    std::array<std::array<bool, kOwners>, kOwners> waits_for{};
    const auto add = [&](const Wait& one) {
      if (one.resource % 2 != 0) return;
      for (std::size_t other = 0; other < kOwners; ++other) {
        if (in_the_way(one, other)) waits_for[one.owner][other] = true;
      }
    };
    for (const Wait& one : waits) add(one);
    add(wait);
    for (std::size_t via = 0; via < kOwners; ++via) {
      for (std::size_t from = 0; from < kOwners; ++from) {
        for (std::size_t to = 0; to < kOwners; ++to) {
          waits_for[from][to] = waits_for[from][to] || (waits_for[from][via] && waits_for[via][to]);
        }
      }
    }
    // An owner that waits for itself in a circle without this request is none of its business.
    for (std::size_t other = 0; other < kOwners; ++other) {
      if (in_the_way(wait, other) && waits_for[other][wait.owner]) return true;
    }
    return false;
  }
  void put(const Wait& wait) {
    for (std::uint64_t at = wait.range.first; at <= wait.range.last; ++at) {
      held[wait.resource][wait.owner][at] = wait.mode;
    }
  }
  void grant(std::size_t resource) {
    for (bool again = true; again;) {
      again = false;
      for (std::size_t i = 0; i < waits.size();) {
        const Wait wait = waits[i];
        if (wait.resource != resource || !free(wait)) {
          ++i;
          continue;
        }
        waits.erase(waits.begin() + static_cast<std::ptrdiff_t>(i));
        put(wait);
        granted.push_back(wait.ticket);
        again = true;
      }
    }
  }
  Outcome set(const Wait& wait, bool may_wait) {
    Outcome outcome = Outcome::granted;
    if (free(wait)) {
      put(wait);
    } else {
      if (wait.resource % 2 != 0) {
        Wait nothing = wait;
        nothing.mode = Mode::none;
        put(nothing);
      }
      if (!may_wait) {
        outcome = Outcome::conflicts;
      } else if (wait.resource % 2 == 0 && closes_circle(wait)) {
        outcome = Outcome::closes_circle;
      } else {
        outcome = Outcome::waits;
        waits.push_back(wait);
      }
    }
    grant(wait.resource);
    return outcome;
  }
  bool cancel(std::size_t session, std::uint64_t ticket) {
    for (auto at = waits.begin(); at != waits.end(); ++at) {
      if (at->ticket != ticket || at->owner % kSessions != session) continue;
      waits.erase(at);
      return true;
    }
    return false;
  }
  void drop(std::size_t session) {
    std::erase_if(waits, [&](const Wait& wait) { return wait.owner % kSessions == session; });
    for (auto& resource : held) {
      for (std::size_t owner = session; owner < kOwners; owner += kSessions) resource[owner].fill(Mode::none);
    }
    for (std::size_t resource = 0; resource < kResources; ++resource) grant(resource);
  }
};

struct Granted final : RangeLocks::Events {
  void granted(HolderId, std::uint64_t ticket) override { tickets.push_back(ticket); }
  std::vector<std::uint64_t> tickets;
};

void check_ranges(const Model& model, const RangeLocks& locks) {
  for (std::size_t resource = 0; resource < kResources; ++resource) {
    for (std::uint64_t at = 0; at < kPositions; ++at) {
      for (std::size_t asks = 0; asks < kOwners; ++asks) {
        const Wait one{resource, asks, {at, at}, Mode::shared, 0};
        Wait strong = one;
        strong.mode = Mode::exclusive;
        const RangeResource id = resource_of(resource);
        REQUIRE(locks.test(id, owner_of(asks), one.range, Mode::shared).has_value() == !model.free(one));
        REQUIRE(locks.test(id, owner_of(asks), one.range, Mode::exclusive).has_value() == !model.free(strong));
      }
    }
  }
}

void run(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  Granted events;
  RangeLocks locks(events, {1000, 1000});
  Model model;
  std::uint64_t tickets = 0;
  for (int step = 0; step < 400; ++step) {
    CAPTURE(seed, step);
    const std::uint64_t what = below(20);
    if (what == 0) {
      const std::size_t session = below(kSessions);
      model.drop(session);
      locks.drop(session + 1);
    } else if (what < 3 && tickets > 0) {
      const std::size_t session = below(kSessions);
      const std::uint64_t ticket = tickets - below(std::min<std::uint64_t>(tickets, 12));
      REQUIRE(locks.cancel(session + 1, ticket) == model.cancel(session, ticket));
    } else {
      Wait wait{below(kResources), below(kOwners), {0, kPositions - 1}, static_cast<Mode>(below(3)), ++tickets};
      if (wait.resource % 2 == 0) {
        wait.range.first = below(kPositions);
        wait.range.last = wait.range.first + below(kPositions - wait.range.first);
      }
      const bool may_wait = below(2) == 0;
      const Outcome expected = model.set(wait, may_wait);
      const RangeRequest request{
          resource_of(wait.resource), owner_of(wait.owner), wait.range, wait.mode, may_wait, wait.ticket, 0};
      REQUIRE(locks.set(request) == expected);
    }
    REQUIRE(events.tickets == model.granted);
    REQUIRE(locks.waits() == model.waits.size());
    if (step % 16 == 0) check_ranges(model, locks);
  }
  check_ranges(model, locks);
  for (std::size_t session = 0; session < kSessions; ++session) locks.drop(session + 1);
  CHECK(locks.ranges() == 0);
  CHECK(locks.waits() == 0);
  CHECK(locks.resources() == 0);
}

TEST_CASE("the table does what a plain model does") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) run(seed);
}

}  // namespace
}  // namespace rideau::lock
