// SPDX-License-Identifier: Apache-2.0
// Goal: every byte of a file has one place, sizes of objects and of the file follow from each other, and no claim of a
// target makes the arithmetic wrap. Checked by hand, and against a walk over every unit.
#include "framework/base/limits.hpp"
#include "plugins/client/data_ranges.hpp"
#include "plugins/client/data_striping.hpp"
#include "tests/sim/sim_random.hpp"

#include <catch2/catch.hpp>

#include <bitset>

namespace rideau::client {
namespace {

constexpr std::uint32_t kUnit = 64 * 1024;

fs::Layout layout_of(std::uint32_t count) {
  fs::Layout layout;
  layout.stripe_size = kUnit;
  for (std::uint32_t i = 0; i < count; ++i) layout.targets.push_back(i + 1);
  return layout;
}

}  // namespace

TEST_CASE("a range of a file is cut where the object changes") {
  const Striping striping(layout_of(3));
  const Segment first = striping.segment_at(0, 10 * kUnit);
  CHECK(first.stripe == 0);
  CHECK(first.object_offset == 0);
  CHECK(first.size == kUnit);
  const Segment fifth = striping.segment_at(4 * kUnit + 5, 10);
  CHECK(fifth.stripe == 1);
  CHECK(fifth.object_offset == kUnit + 5);
  CHECK(fifth.file_offset == 4 * kUnit + 5);
  CHECK(fifth.size == 10);
  const Segment border = striping.segment_at(5 * kUnit - 1, 10);
  CHECK(border.size == 1);
  const Striping single(layout_of(1));
  CHECK(single.segment_at(7, 10 * kUnit).size == 10 * kUnit);
  CHECK(single.segment_at(7, 10 * kUnit).object_offset == 7);
}

TEST_CASE("sizes of objects follow from the size of the file, and back") {
  for (std::uint32_t count = 1; count <= 5; ++count) {
    const Striping striping(layout_of(count));
    sim::Random random(count);
    for (int round = 0; round < 300; ++round) {
      const std::uint64_t size = random.below(20 * kUnit);
      std::vector<std::uint64_t> expected(count);
      for (std::uint64_t at = 0; at < size; at += kUnit) {
        expected[at / kUnit % count] += std::min<std::uint64_t>(kUnit, size - at);
      }
      std::uint64_t largest = 0;
      for (std::uint32_t stripe = 0; stripe < count; ++stripe) {
        REQUIRE(striping.object_size(stripe, size) == expected[stripe]);
        REQUIRE(striping.file_size(stripe, expected[stripe]) <= size);
        largest = std::max(largest, striping.file_size(stripe, expected[stripe]));
      }
      REQUIRE(largest == size);
    }
  }
}

TEST_CASE("hostile sizes and layouts do not wrap") {
  const Striping striping(layout_of(1000));
  CHECK(striping.file_size(999, ~0ull >> 1) == limits::kFileBytesMax);
  CHECK(striping.object_size(999, limits::kFileBytesMax) <= limits::kFileBytesMax);
  CHECK_FALSE(Striping(fs::Layout{}).valid());
  fs::Layout odd = layout_of(2);
  odd.stripe_size = kUnit + 1;
  CHECK_FALSE(Striping(odd).valid());
}

TEST_CASE("ranges of bytes behave as a set of bits") {
  constexpr std::uint32_t kBits = 64;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    sim::Random random(seed);
    ByteRanges ranges;
    std::bitset<kBits> model;
    for (int step = 0; step < 60; ++step) {
      const auto begin = static_cast<std::uint32_t>(random.below(kBits));
      const auto end = static_cast<std::uint32_t>(random.between(begin, kBits));
      const bool add = random.chance(55);
      if (add)
        ranges.add(begin, end);
      else
        ranges.remove(begin, end);
      for (std::uint32_t i = begin; i < end; ++i) model[i] = add;
      std::bitset<kBits> seen;
      for (const ByteRange& range : ranges.list()) {
        REQUIRE(range.begin < range.end);
        for (std::uint32_t i = range.begin; i < range.end; ++i) seen[i] = true;
      }
      REQUIRE(seen == model);
      std::bitset<kBits> holes;
      for (const ByteRange& gap : ranges.gaps(0, kBits)) {
        for (std::uint32_t i = gap.begin; i < gap.end; ++i) holes[i] = true;
      }
      REQUIRE(holes == ~model);
      REQUIRE(ranges.count(0, kBits) == model.count());
      for (std::size_t i = 1; i < ranges.list().size(); ++i) REQUIRE(ranges.list()[i - 1].end < ranges.list()[i].begin);
    }
  }
}

}  // namespace rideau::client
