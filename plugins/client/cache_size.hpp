// SPDX-License-Identifier: Apache-2.0
// How large the cache of file data is: by default a share of the machine's memory; less while others need it; and what
// is not used for a while goes back to the system.
#pragma once

#include "framework/runtime/memory_gauge.hpp"
#include "framework/runtime/sync.hpp"
#include "plugins/client/data_cache.hpp"

#include <cstdint>

namespace rideau::client {

// Bytes, for who did not say how many.
std::uint64_t default_cache_bytes(const MemoryFigures& memory) noexcept;

class CacheSize {
 public:
  // `gauge` is lent and may be null: then nothing is known of others' needs. The cache is never made smaller than
  // `least`, bytes.
  CacheSize(Runtime& runtime, DataCache& cache, MemoryGauge* gauge, std::uint64_t least);

  // The cache has just taken something. Cheap.
  void used() {
    const bool has_something = cache_.memory() > least_ || goal_ < most_;  // to give, or to get back
    if (!alarm_.pending() && has_something) alarm_.set(kLookNs);
  }

 private:
  static constexpr std::uint64_t kLookNs = kSecond;

  void look();
  void fit(const MemoryFigures& now) noexcept;
  void give_back();

  DataCache& cache_;
  MemoryGauge* gauge_;
  std::uint64_t most_;
  std::uint64_t least_;
  std::uint64_t goal_;      // what the cache comes down to, a step at a time
  std::uint64_t idle_ = 0;  // buffers that nobody needed lately, to be given up
  std::uint32_t looks_ = 0;
  Alarm alarm_;
  Alarm steps_;
};

}  // namespace rideau::client
