// SPDX-License-Identifier: Apache-2.0
// Goal: sets of runs hold what was put in and nothing else, and records of sums come back as they were or are refused.
#include "backends/raw_file/sum_records.hpp"
#include "sdk/testkit/dice.hpp"

#include <catch2/catch.hpp>

#include <set>

namespace rideau::raw_file {
namespace {

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

}  // namespace

TEST_CASE("runs of numbers against a set") {
  Dice dice(1);
  for (int round = 0; round < 200; ++round) {
    Ranges ranges;
    std::set<std::uint64_t> numbers;
    for (int step = 0; step < 30; ++step) {
      const std::uint64_t begin = dice.below(60);
      const std::uint64_t end = begin + dice.below(8);
      const bool adds = !dice.one_in(3);
      adds ? ranges.add({begin, end}) : ranges.remove({begin, end});
      for (std::uint64_t i = begin; i < end; ++i) adds ? void(numbers.insert(i)) : void(numbers.erase(i));
      for (std::uint64_t i = 0; i < 70; ++i) REQUIRE(ranges.contains(i) == numbers.contains(i));
      for (std::size_t i = 1; i < ranges.runs().size(); ++i) {
        REQUIRE(ranges.runs()[i - 1].end < ranges.runs()[i].begin);
      }
    }
    const Ranges before = ranges;
    ranges.bound(2);
    CHECK(ranges.runs().size() <= 2);
    for (const std::uint64_t number : numbers) CHECK(ranges.contains(number));
    if (before.runs().size() <= 2) CHECK(ranges.runs().size() == before.runs().size());
  }
}

TEST_CASE("records of sums, and each of their bits") {
  std::vector<BlockSum> blocks(200);
  for (const std::size_t at : {0, 1, 2, 7, 8, 199}) blocks[at] = {static_cast<std::uint32_t>(at * 77), true, false};
  const std::string key = segment_key({5, 6}, 7);
  std::string value = segment_value(key, blocks);
  std::vector<BlockSum> found;
  REQUIRE(read_segment(view(key), view(value), &found).ok());
  REQUIRE(found.size() == 200);
  for (std::size_t at = 0; at < blocks.size(); ++at) {
    CHECK(found[at].known == blocks[at].known);
    CHECK(found[at].sum == blocks[at].sum);
    CHECK(found[at].stored == blocks[at].known);
  }
  for (std::size_t bit = 0; bit < 8 * value.size(); ++bit) {
    value[bit / 8] = static_cast<char>(value[bit / 8] ^ (1 << bit % 8));
    CHECK_FALSE(read_segment(view(key), view(value), &found).ok());
    value[bit / 8] = static_cast<char>(value[bit / 8] ^ (1 << bit % 8));
  }
  const std::string elsewhere = segment_key({5, 6}, 8);
  CHECK(read_segment(view(elsewhere), view(value), &found).code == Code::corrupt);
  CHECK(segment_value(key, std::vector<BlockSum>(9)).empty());

  Ranges ranges;
  ranges.add({16, 32});
  ranges.add({48, Ranges::kNoEnd});
  const std::string mark = mark_key({5, 6});
  Ranges read;
  REQUIRE(read_mark(view(mark), view(mark_value(mark, ranges)), &read).ok());
  REQUIRE(read.runs().size() == 2);
  CHECK(read.covers({16, 32}));
  CHECK(read.covers({48, Ranges::kNoEnd}));
  CHECK_FALSE(read.contains(32));

  ObjectId id;
  std::uint64_t number = 0;
  CHECK(parse_segment_key(view(key), &id, &number));
  CHECK((id == ObjectId{5, 6} && number == 7));
  CHECK(parse_mark_key(view(mark), &id));
  CHECK_FALSE(parse_mark_key(view(key), &id));
}

}  // namespace rideau::raw_file
