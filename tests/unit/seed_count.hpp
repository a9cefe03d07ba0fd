// SPDX-License-Identifier: Apache-2.0
#pragma once
// How many seeds a random test runs. Simulated worlds have one thread, so that more of them tell the thread sanitizer
// nothing and cost it twenty times as much.

#include <cstdint>

namespace rideau::test {

constexpr std::uint64_t seed_count(std::uint64_t wanted) {
#ifdef __SANITIZE_THREAD__
  return wanted / 10 > 0 ? wanted / 10 : 1;
#else
  return wanted;
#endif
}

}  // namespace rideau::test
