// SPDX-License-Identifier: Apache-2.0
// Dice: small and seeded, the same everywhere (SplitMix64, public domain, Steele and others 2014).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace rideau {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t roll() noexcept {
    std::uint64_t mixed = (state_ += 0x9e3779b97f4a7c15ull);
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
    return mixed ^ (mixed >> 31);
  }
  // Less than `bound`; 0 when that is 0.
  std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : roll() % bound; }
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }
  std::string bytes(std::size_t count) { return fill(count, 0); }
  // Bytes of a file: what was written and what was not can be told apart.
  std::string nonzero_bytes(std::size_t count) { return fill(count, 0x0101010101010101); }

 private:
  std::string fill(std::size_t count, std::uint64_t always) {
    std::string text(count, '\0');
    // Words, not bytes: under the thread sanitizer every access costs the same, and a suite makes gigabytes.
    for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
      const std::uint64_t word = roll() | always;
      std::memcpy(text.data() + at, &word, std::min(sizeof word, count - at));
    }
    return text;
  }

  std::uint64_t state_;
};

}  // namespace rideau
