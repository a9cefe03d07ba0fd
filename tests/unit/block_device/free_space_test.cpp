// SPDX-License-Identifier: Apache-2.0
// Goal: the table of free blocks gives every block to one owner at a time, joins what comes back, and takes long runs
// whole as long as there are some.
#include "backends/block_device/free_space.hpp"
#include "sdk/testkit/dice.hpp"

#include <catch2/catch.hpp>

#include <set>

namespace rideau::block_device {

TEST_CASE("free runs join with their neighbours") {
  FreeSpace space;
  CHECK(space.add({100, 10}));
  CHECK(space.add({120, 10}));
  CHECK(space.run_count() == 2);
  CHECK(space.add({110, 10}));
  CHECK(space.run_count() == 1);
  CHECK(space.count() == 30);
  CHECK_FALSE(space.add({105, 1}));
  CHECK_FALSE(space.add({95, 6}));
  CHECK_FALSE(space.add({129, 5}));
  CHECK(space.count() == 30);
}

TEST_CASE("a run is taken where it is wished, where it fits best, and in pieces when nothing else is left") {
  FreeSpace space;
  space.add({100, 50});
  space.add({200, 8});
  space.add({300, 20});
  std::vector<Run> taken;
  space.take(8, 0, taken);
  CHECK(taken == std::vector<Run>{{200, 8}});
  taken.clear();
  space.take(10, 110, taken);
  CHECK(taken == std::vector<Run>{{110, 10}});
  taken.clear();
  space.take(25, 300, taken);
  CHECK(taken.front() == Run{300, 20});
  CHECK(taken.size() == 2);
  CHECK(space.count() == 35);
  taken.clear();
  space.take(35, 0, taken);
  CHECK(space.count() == 0);
  CHECK(space.run_count() == 0);
}

TEST_CASE("runs that are there from the beginning are as those that came one by one") {
  FreeSpace space;
  space.assign({{10, 5}, {20, 30}, {90, 1}});
  CHECK(space.count() == 36);
  CHECK(space.run_count() == 3);
  CHECK_FALSE(space.add({14, 1}));
  CHECK(space.add({15, 5}));
  CHECK(space.run_count() == 2);
  std::vector<Run> taken;
  space.take(1, 0, taken);
  space.take(40, 0, taken);
  CHECK(taken == std::vector<Run>{{90, 1}, {10, 40}});
  CHECK(space.count() == 0);
}

TEST_CASE("random takes and returns never give a block twice and lose none") {
  FreeSpace space;
  constexpr std::uint64_t kBlocks = 2'000;
  space.add({1, kBlocks});
  std::vector<Run> held;
  Dice dice(3);
  for (int round = 0; round < 3'000; ++round) {
    const std::uint64_t count = 1 + dice.below(40);
    if (dice.one_in(2) && space.count() >= count) {
      if (dice.one_in(3)) {
        held.push_back(space.take_window(count, dice.one_in(2) ? dice.below(kBlocks) + 1 : 0));
      } else {
        space.take(count, dice.one_in(2) ? dice.below(kBlocks) + 1 : 0, held);
      }
    } else if (!held.empty()) {
      std::swap(held[dice.below(held.size())], held.back());
      REQUIRE(space.add(held.back()));
      held.pop_back();
    }
    std::uint64_t owned = 0;
    for (const Run run : held) owned += run.count;
    REQUIRE(owned + space.count() == kBlocks);
  }
  std::set<std::uint64_t> seen;
  for (const Run run : held) {
    for (std::uint64_t i = 0; i < run.count; ++i) CHECK(seen.insert(run.place + i).second);
  }
  for (const Run run : held) REQUIRE(space.add(run));
  CHECK(space.run_count() == 1);
}

}  // namespace rideau::block_device
