// SPDX-License-Identifier: Apache-2.0
// Goal: every transition of the table of range locks: what one owner's locks become (split, joined, replaced),
// conflicts, waiting, grants in order, circles, cancelled waits, sessions that end, bounds.
#include "framework/lock/range_locks.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace rideau::lock {
namespace {

using Outcome = RangeLocks::Outcome;

constexpr RangeResource kFile{7, RangeFamily::records};
constexpr RangeResource kOther{8, RangeFamily::records};
constexpr RangeResource kWhole{7, RangeFamily::whole};

struct Table final : RangeLocks::Events {
  void granted(HolderId session, std::uint64_t ticket) override {
    told += std::to_string(session) + ":" + std::to_string(ticket) + " ";
  }
  Outcome set(RangeOwner owner, Range range, Mode mode, RangeResource resource = kFile) {
    return locks.set({resource, owner, range, mode, false, 0, 100});
  }
  Outcome wait(RangeOwner owner, Range range, Mode mode, std::uint64_t ticket, RangeResource resource = kFile) {
    return locks.set({resource, owner, range, mode, true, ticket, 100});
  }
  // What is in the way of an exclusive lock of a stranger, from a place on: "10-19x".
  std::string seen(std::uint64_t from, RangeResource resource = kFile) const {
    const auto found = locks.test(resource, RangeOwner{99, 99}, Range{from, kRangeLast}, Mode::exclusive);
    if (!found) return "";
    const Range range = found->held.range;
    return std::to_string(range.first) + "-" + (range.last == kRangeLast ? "end" : std::to_string(range.last)) +
           (found->held.mode == Mode::exclusive ? "x" : "s");
  }
  // All of them.
  std::string all(RangeResource resource = kFile) const {
    std::string list;
    std::uint64_t from = 0;
    while (true) {
      const auto found = locks.test(resource, RangeOwner{99, 99}, Range{from, kRangeLast}, Mode::exclusive);
      if (!found) return list;
      list += seen(from, resource) + " ";
      if (found->held.range.last == kRangeLast) return list;
      from = found->held.range.last + 1;
    }
  }
  std::string story() { return std::exchange(told, {}); }
  bool unused() const { return locks.ranges() == 0 && locks.waits() == 0 && locks.resources() == 0; }

  std::string told;
  RangeLocks locks{*this, {100, 10}};
};

constexpr RangeOwner kA{1, 1};
constexpr RangeOwner kB{2, 1};
constexpr RangeOwner kC{3, 1};

TEST_CASE("ranges of one owner split, join and replace each other") {
  Table table;
  CHECK(table.set(kA, {10, 19}, Mode::exclusive) == Outcome::granted);
  CHECK(table.set(kA, {20, 29}, Mode::exclusive) == Outcome::granted);
  CHECK(table.all() == "10-29x ");
  CHECK(table.set(kA, {15, 24}, Mode::shared) == Outcome::granted);
  CHECK(table.all() == "10-14x 15-24s 25-29x ");
  CHECK(table.locks.ranges() == 3);
  CHECK(table.set(kA, {12, 16}, Mode::none) == Outcome::granted);
  CHECK(table.all() == "10-11x 17-24s 25-29x ");
  CHECK(table.set(kA, {0, 9}, Mode::exclusive) == Outcome::granted);
  CHECK(table.all() == "0-11x 17-24s 25-29x ");
  CHECK(table.set(kA, {5, 27}, Mode::exclusive) == Outcome::granted);
  CHECK(table.all() == "0-29x ");
  CHECK(table.set(kA, {29, kRangeLast}, Mode::shared) == Outcome::granted);
  CHECK(table.all() == "0-28x 29-ends ");
  CHECK(table.set(kA, {kRangeLast, kRangeLast}, Mode::none) == Outcome::granted);
  CHECK(table.set(kA, {1, 1}, Mode::none) == Outcome::granted);
  CHECK(table.locks.ranges() == 3);
  CHECK(table.set(kA, {0, kRangeLast}, Mode::none) == Outcome::granted);
  CHECK(table.unused());
}

TEST_CASE("neighbours of one mode become one at both ends") {
  Table table;
  table.set(kA, {0, 9}, Mode::shared);
  table.set(kA, {20, 29}, Mode::shared);
  table.set(kA, {10, 19}, Mode::shared);
  CHECK(table.all() == "0-29s ");
  CHECK(table.locks.ranges() == 1);
}

TEST_CASE("only locks of others conflict, shared ones do not hinder shared ones") {
  Table table;
  CHECK(table.set(kA, {0, 9}, Mode::shared) == Outcome::granted);
  CHECK(table.set(kB, {5, 14}, Mode::shared) == Outcome::granted);
  CHECK(table.set(kB, {0, 4}, Mode::exclusive) == Outcome::conflicts);
  CHECK(table.set(kA, {0, 4}, Mode::exclusive) == Outcome::granted);
  CHECK(table.set(kA, {0, 9}, Mode::exclusive) == Outcome::conflicts);
  CHECK(table.all() == "0-4x 5-9s 5-14s ");
  // Another owner of the same session is another owner; another file and another family are other things.
  CHECK(table.set({1, 2}, {0, 0}, Mode::shared) == Outcome::conflicts);
  CHECK(table.set(kB, {0, 9}, Mode::exclusive, kOther) == Outcome::granted);
  CHECK(table.set(kB, {}, Mode::exclusive, kWhole) == Outcome::granted);
}

TEST_CASE("a test names what begins first, and whose it is") {
  Table table;
  table.locks.set({kFile, kB, {30, 39}, Mode::exclusive, false, 0, 222});
  table.locks.set({kFile, kA, {50, 59}, Mode::exclusive, false, 0, 111});
  auto found = table.locks.test(kFile, kC, {0, 100}, Mode::shared);
  REQUIRE(found);
  CHECK((found->owner == kB && found->process == 222 && found->held == HeldRange{{30, 39}, Mode::exclusive}));
  found = table.locks.test(kFile, kB, {0, 100}, Mode::shared);
  REQUIRE(found);
  CHECK(found->owner == kA);
  CHECK(!table.locks.test(kFile, kC, {40, 49}, Mode::exclusive));
}

TEST_CASE("who waits is granted in order when the way is free") {
  Table table;
  table.set(kA, {0, 9}, Mode::exclusive);
  CHECK(table.wait(kB, {0, 4}, Mode::exclusive, 1) == Outcome::waits);
  CHECK(table.wait(kC, {0, 9}, Mode::exclusive, 2) == Outcome::waits);
  CHECK(table.wait(kC, {8, 8}, Mode::exclusive, 2) == Outcome::ticket_in_use);
  CHECK(table.set(kA, {5, 9}, Mode::none) == Outcome::granted);
  CHECK(table.story().empty());
  CHECK(table.set(kA, {0, 4}, Mode::none) == Outcome::granted);
  CHECK(table.story() == "2:1 ");
  CHECK(table.set(kB, {0, 4}, Mode::none) == Outcome::granted);
  CHECK(table.story() == "3:2 ");
  CHECK(table.locks.waits() == 0);
}

TEST_CASE("who waits hinders nobody") {
  Table table;
  table.set(kA, {0, 9}, Mode::shared);
  CHECK(table.wait(kB, {0, 9}, Mode::exclusive, 1) == Outcome::waits);
  CHECK(table.set(kC, {0, 9}, Mode::shared) == Outcome::granted);
  table.set(kA, {0, 9}, Mode::none);
  CHECK(table.story().empty());
  table.set(kC, {0, 9}, Mode::none);
  CHECK(table.story() == "2:1 ");
}

TEST_CASE("a weaker lock makes way for those who wait, also when it was waited for") {
  Table table;
  table.set(kA, {0, 9}, Mode::exclusive);
  CHECK(table.wait(kB, {5, 5}, Mode::shared, 1) == Outcome::waits);
  CHECK(table.set(kA, {0, 9}, Mode::shared) == Outcome::granted);
  CHECK(table.story() == "2:1 ");

  // A waits to share what C has, and holds exclusively what B waits to share; the one grant brings the other.
  table.set(kA, {20, 29}, Mode::exclusive);
  table.set(kC, {30, 39}, Mode::exclusive);
  CHECK(table.wait(kB, {20, 20}, Mode::shared, 2) == Outcome::waits);
  CHECK(table.wait(kA, {20, 39}, Mode::shared, 3) == Outcome::waits);
  table.set(kC, {30, 39}, Mode::none);
  CHECK(table.story() == "1:3 2:2 ");
}

TEST_CASE("a circle is refused, over resources and over several owners") {
  Table table;
  table.set(kA, {0, 0}, Mode::exclusive);
  table.set(kB, {1, 1}, Mode::exclusive);
  table.set(kC, {0, 0}, Mode::shared, kOther);
  CHECK(table.wait(kA, {1, 1}, Mode::shared, 1) == Outcome::waits);
  CHECK(table.wait(kB, {0, 0}, Mode::exclusive, 2) == Outcome::closes_circle);
  CHECK(table.wait(kB, {0, 0}, Mode::exclusive, 2, kOther) == Outcome::waits);
  CHECK(table.wait(kC, {0, 0}, Mode::shared, 3) == Outcome::closes_circle);
  CHECK(table.set(kC, {0, 0}, Mode::shared) == Outcome::conflicts);
  // The circle is gone when a wait in it is.
  CHECK(table.locks.cancel(2, 2));
  CHECK(table.wait(kC, {0, 0}, Mode::shared, 3) == Outcome::waits);
}

TEST_CASE("whole: circles are not looked for, and a new mode gives up the old one first") {
  Table table;
  table.set(kA, {}, Mode::shared, kWhole);
  table.set(kB, {}, Mode::shared, kWhole);
  CHECK(table.set(kA, {}, Mode::exclusive, kWhole) == Outcome::conflicts);
  CHECK(table.all(kWhole) == "0-ends ");
  CHECK(table.locks.ranges() == 1);  // A's is lost
  CHECK(table.set(kA, {}, Mode::shared, kWhole) == Outcome::granted);
  CHECK(table.wait(kA, {}, Mode::exclusive, 1, kWhole) == Outcome::waits);
  CHECK(table.wait(kB, {}, Mode::exclusive, 2, kWhole) == Outcome::granted);
  CHECK(table.story().empty());
  table.set(kB, {}, Mode::shared, kWhole);
  CHECK(table.story().empty());
  table.set(kB, {}, Mode::none, kWhole);
  CHECK(table.story() == "1:1 ");
  CHECK(table.wait(kB, {}, Mode::shared, 3, kWhole) == Outcome::waits);
  CHECK(table.set(kA, {}, Mode::shared, kWhole) == Outcome::granted);
  CHECK(table.story() == "2:3 ");
}

TEST_CASE("records: a refused new mode leaves the old one") {
  Table table;
  table.set(kA, {}, Mode::shared);
  table.set(kB, {}, Mode::shared);
  CHECK(table.set(kA, {}, Mode::exclusive) == Outcome::conflicts);
  CHECK(table.wait(kA, {}, Mode::exclusive, 1) == Outcome::waits);
  CHECK(table.wait(kB, {}, Mode::exclusive, 2) == Outcome::closes_circle);
  CHECK(table.locks.ranges() == 2);
}

TEST_CASE("a cancelled wait leaves nothing; a granted one cannot be cancelled") {
  Table table;
  table.set(kA, {}, Mode::exclusive);
  CHECK(table.wait(kB, {}, Mode::shared, 1) == Outcome::waits);
  CHECK(table.locks.cancel(2, 1));
  CHECK(!table.locks.cancel(2, 1));
  CHECK(table.wait(kB, {}, Mode::shared, 2) == Outcome::waits);
  table.set(kA, {}, Mode::none);
  CHECK(table.story() == "2:2 ");
  CHECK(!table.locks.cancel(2, 2));
  table.set(kB, {}, Mode::none);
  CHECK(table.unused());
}

TEST_CASE("a session that ends takes its locks and waits with it") {
  Table table;
  table.set(kA, {0, 9}, Mode::exclusive);
  table.set({1, 2}, {10, 19}, Mode::exclusive);
  table.set(kA, {}, Mode::exclusive, kWhole);
  table.set(kB, {0, 9}, Mode::exclusive, kOther);
  CHECK(table.wait(kA, {0, 9}, Mode::shared, 1, kOther) == Outcome::waits);
  CHECK(table.wait(kB, {0, 19}, Mode::exclusive, 1) == Outcome::closes_circle);
  CHECK(table.wait(kC, {0, 19}, Mode::exclusive, 1) == Outcome::waits);
  CHECK(table.wait(kC, {}, Mode::shared, 2, kWhole) == Outcome::waits);
  CHECK(table.locks.waited_for(1));
  CHECK(table.locks.waited_for(2));
  CHECK(!table.locks.waited_for(3));
  table.locks.drop(1);
  CHECK(table.story() == "3:1 3:2 ");
  table.locks.drop(3);
  CHECK(table.all(kOther) == "0-9x ");
  table.locks.drop(2);
  table.locks.drop(2);
  CHECK(table.unused());
}

TEST_CASE("a session holds and waits for no more than its bounds") {
  Table table;
  int held = 0;
  while (table.set(kA, {static_cast<std::uint64_t>(2 * held), static_cast<std::uint64_t>(2 * held)}, Mode::shared) ==
         Outcome::granted) {
    ++held;
    REQUIRE(held <= 100);
  }
  CHECK(held >= 98);
  CHECK(table.set(kA, {900, 900}, Mode::shared) == Outcome::too_many);
  CHECK(table.set(kB, {900, 900}, Mode::shared) == Outcome::granted);
  CHECK(table.set(kA, {}, Mode::none) == Outcome::granted);
  // One lock and many holes in it are many ranges, too.
  CHECK(table.set(kA, {}, Mode::shared) == Outcome::granted);
  Outcome last = Outcome::granted;
  for (std::uint64_t hole = 1; hole < 300 && last == Outcome::granted; hole += 2) {
    last = table.set(kA, {hole, hole}, Mode::none);
  }
  CHECK(last == Outcome::too_many);
  CHECK(table.locks.ranges() <= 101);
  CHECK(table.set(kA, {}, Mode::none) == Outcome::granted);

  table.set(kB, {}, Mode::exclusive);
  for (std::uint64_t ticket = 0; ticket < 10; ++ticket) {
    CHECK(table.wait({1, ticket}, {}, Mode::shared, ticket) == Outcome::waits);
  }
  CHECK(table.wait({1, 11}, {}, Mode::shared, 11) == Outcome::too_many);
}

}  // namespace
}  // namespace rideau::lock
