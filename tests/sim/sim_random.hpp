// SPDX-License-Identifier: Apache-2.0
// The random numbers of a simulated run: splitmix64 (Steele, Lea, Flood 2014), the same on every machine and compiler,
// unlike the distributions of the standard library.
#pragma once

#include <cstdint>

namespace rideau::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e37'79b9'7f4a'7c15ull;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11ebull;
    return mixed ^ (mixed >> 31);
  }
  // 0 to count - 1; count is not 0. The bias of the remainder is of no matter here.
  std::uint64_t below(std::uint64_t count) noexcept { return next() % count; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept { return low + below(high - low + 1); }
  bool chance(std::uint32_t percent) noexcept { return below(100) < percent; }
  // Another generator whose numbers do not depend on how far this one goes on.
  Random fork() noexcept { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace rideau::sim
