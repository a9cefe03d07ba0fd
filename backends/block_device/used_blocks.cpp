// SPDX-License-Identifier: Apache-2.0
#include "used_blocks.hpp"

#include <algorithm>
#include <bit>

namespace rideau::block_device {

UsedBlocks::UsedBlocks(Run all) : all_(all), parts_((all.count + kPartBlocks - 1) / kPartBlocks) {}

bool UsedBlocks::add(Run run) {
  const std::uint64_t first = run.place - all_.place;
  if (run.place < all_.place || first > all_.count || run.count > all_.count - first) return false;
  const std::uint64_t end = first + run.count;
  for (std::uint64_t at = first; at < end;) {
    const std::uint64_t bit = at % kWordBlocks;
    const std::uint64_t count = std::min(end - at, kWordBlocks - bit);
    const Word mask = (~Word{0} >> (kWordBlocks - count)) << bit;
    auto& part = parts_[at / kPartBlocks];
    if (part == nullptr) part = std::make_unique<Word[]>(kPartBlocks / kWordBlocks);
    Word& word = part[at % kPartBlocks / kWordBlocks];
    if ((word & mask) != 0) return false;
    word |= mask;
    at += count;
  }
  return true;
}

std::vector<Run> UsedBlocks::unused() const {
  std::vector<Run> runs;
  const auto add_run = [&](std::uint64_t at, std::uint64_t count) {
    if (!runs.empty() && runs.back().place + runs.back().count == all_.place + at) {
      runs.back().count += count;
    } else {
      runs.push_back({all_.place + at, count});
    }
  };
  for (std::uint64_t at = 0; at < all_.count;) {
    const auto& part = parts_[at / kPartBlocks];
    const std::uint64_t bit = at % kWordBlocks;
    // To the end of the part or of the word, as far as nothing there is used.
    std::uint64_t left = kPartBlocks - at % kPartBlocks;
    std::uint64_t count = left;
    if (part != nullptr) {
      const Word used = part[at % kPartBlocks / kWordBlocks] >> bit;
      left = kWordBlocks - bit;
      count = std::min<std::uint64_t>(left, static_cast<std::uint64_t>(std::countr_zero(used)));
      if (count == 0) {
        at += std::min<std::uint64_t>(left, static_cast<std::uint64_t>(std::countr_one(used)));
        continue;
      }
    }
    count = std::min(count, all_.count - at);
    add_run(at, count);
    at += count;
  }
  return runs;
}

}  // namespace rideau::block_device
