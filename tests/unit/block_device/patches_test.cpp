// SPDX-License-Identifier: Apache-2.0
// Goal: bytes over blocks are what was put last, whatever came before, and their count is right.
#include "backends/block_device/patches.hpp"
#include "sdk/testkit/dice.hpp"
#include "tests/unit/seed_count.hpp"

#include <catch2/catch.hpp>

#include <map>
#include <optional>
#include <vector>

namespace rideau::block_device {

TEST_CASE("patches are what was put last, do not touch each other, and are counted") {
  constexpr std::size_t kBytes = 200;  // of a block; small, so that they meet often
  for (std::uint64_t seed = 1; seed <= test::seed_count(60); ++seed) {
    Dice dice(seed);
    Patches patches;
    std::map<std::uint16_t, std::vector<std::optional<char>>> model;
    for (int step = 0; step < 80; ++step) {
      const auto block = static_cast<std::uint16_t>(dice.below(3) * 100);
      auto& bytes = model[block];
      bytes.resize(kBytes);
      if (dice.one_in(12)) {
        patches.drop(block);
        bytes.assign(kBytes, std::nullopt);
      } else {
        const auto offset = static_cast<std::uint16_t>(dice.below(kBytes));
        const std::string put = dice.nonzero_bytes(1 + dice.below(std::min<std::uint64_t>(kBytes - offset, 40)));
        patches.put(block, offset, put);
        for (std::size_t i = 0; i < put.size(); ++i) bytes[offset + i] = put[i];
      }
      std::uint64_t count = 0;
      for (const auto& [number, expected] : model) {
        std::string found(kBytes, '\0');
        patches.apply(number, reinterpret_cast<std::uint8_t*>(found.data()));
        for (std::size_t i = 0; i < kBytes; ++i) {
          if (found[i] != expected[i].value_or('\0')) FAIL("seed " << seed << ", step " << step << ", byte " << i);
          count += expected[i] ? 1 : 0;
        }
      }
      CHECK(patches.bytes() == count);
      CHECK(patches.empty() == (count == 0));
      for (const auto& [number, all] : patches.blocks()) {
        std::size_t end = 0;
        for (const auto& [offset, put] : all) {
          CHECK((end == 0 || offset > end));
          end = offset + put.size();
        }
      }
    }
  }
}

}  // namespace rideau::block_device
