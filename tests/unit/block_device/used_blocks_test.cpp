// SPDX-License-Identifier: Apache-2.0
// Goal: what a start finds in use, in any order, leaves exactly the rest as free; a block that is found twice, or that
// the device does not have, is noticed.
#include "backends/block_device/used_blocks.hpp"
#include "sdk/testkit/dice.hpp"

#include <catch2/catch.hpp>

#include <algorithm>

namespace rideau::block_device {

TEST_CASE("nothing used, everything used, and the ends of a device") {
  const Run all{256, (1 << 19) + 77};
  const std::uint64_t end = all.place + all.count;
  CHECK(UsedBlocks(all).unused() == std::vector<Run>{all});
  UsedBlocks whole(all);
  CHECK(whole.add(all));
  CHECK(whole.unused().empty());
  UsedBlocks ends(all);
  CHECK(ends.add({all.place, 1}));
  CHECK(ends.add({end - 1, 1}));
  CHECK(ends.unused() == std::vector<Run>{{all.place + 1, all.count - 2}});
}

TEST_CASE("blocks that are used twice or lie outside are refused") {
  const Run all{256, 1000};
  for (const Run wrong : {Run{255, 1}, Run{255, 2}, Run{1255, 2}, Run{1256, 1}, Run{~0ull, 1}, Run{300, ~0ull}}) {
    UsedBlocks used(all);
    CHECK_FALSE(used.add(wrong));
  }
  for (const Run again : {Run{400, 1}, Run{463, 1}, Run{300, 101}, Run{463, 100}, Run{390, 200}}) {
    UsedBlocks used(all);
    CHECK(used.add({400, 64}));
    CHECK_FALSE(used.add(again));
  }
  UsedBlocks used(all);
  CHECK(used.add({400, 64}));
  CHECK(used.add({464, 1}));
  CHECK(used.add({399, 1}));
  CHECK(used.add({1255, 1}));
}

TEST_CASE("runs at random, against a plain list of blocks") {
  const Run all{256, (1 << 18) + 5000};
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Dice dice(seed);
    UsedBlocks used(all);
    std::vector<bool> plain(all.count, false);
    const std::uint64_t length = 1 + dice.below(300);
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t at = dice.below(all.count);
      const std::uint64_t count = std::min(1 + dice.below(length), all.count - at);
      bool free = true;
      for (std::uint64_t block = at; block < at + count; ++block) free = free && !plain[block];
      if (!free) continue;
      for (std::uint64_t block = at; block < at + count; ++block) plain[block] = true;
      REQUIRE(used.add({all.place + at, count}));
    }
    std::vector<Run> expected;
    for (std::uint64_t block = 0; block < all.count; ++block) {
      if (plain[block]) continue;
      if (block == 0 || plain[block - 1]) expected.push_back({all.place + block, 0});
      ++expected.back().count;
    }
    CHECK((used.unused() == expected));
  }
}

}  // namespace rideau::block_device
