// SPDX-License-Identifier: Apache-2.0
// See cache_size.hpp.
#include "plugins/client/cache_size.hpp"

#include <algorithm>

namespace rideau::client {

namespace {

constexpr std::uint64_t kShare = 8;  // an eighth of the memory
constexpr std::uint64_t kDefaultLeast = 256ull << 20;
constexpr std::uint64_t kReserve = 16;             // a sixteenth of it stays available to others
constexpr std::uint32_t kIdleLooks = 60;           // what was spare for so many is given up
constexpr std::uint64_t kStepBytes = 16ull << 20;  // given back at once: a few milliseconds of the node's thread
constexpr std::uint64_t kStepNs = 20 * kMillisecond;

}  // namespace

std::uint64_t default_cache_bytes(const MemoryFigures& memory) noexcept {
  if (memory.total == 0) return kDefaultLeast;
  return std::max(memory.total / kShare, std::min(kDefaultLeast, memory.total / 4));
}

CacheSize::CacheSize(Runtime& runtime, DataCache& cache, MemoryGauge* gauge, std::uint64_t least)
    : cache_(cache),
      gauge_(gauge),
      most_(cache.bytes_max()),
      least_(std::min(least, most_)),
      goal_(most_),
      alarm_(runtime, [this] { look(); }),
      steps_(runtime, [this] { give_back(); }) {}

void CacheSize::look() {
  if (gauge_ != nullptr) fit(gauge_->read());
  if (++looks_ % kIdleLooks == 0) idle_ = cache_.take_unneeded();
  if (goal_ > cache_.bytes_max()) cache_.resize(goal_);
  if (!steps_.pending()) give_back();
  used();
}

void CacheSize::fit(const MemoryFigures& now) noexcept {
  const std::uint64_t reserve = now.total / kReserve;
  if (now.available < reserve) {
    const std::uint64_t held = cache_.memory();
    goal_ = std::max(least_, std::min(goal_, held - std::min(held, reserve - now.available)));
  } else if (now.available > 2 * reserve) {
    goal_ = std::min(most_, goal_ + (now.available - 2 * reserve));
  }
}

void CacheSize::give_back() {
  if (goal_ < cache_.bytes_max()) {
    const std::uint64_t reached = std::min(cache_.bytes_max(), cache_.memory());
    cache_.resize(std::max(goal_, reached - std::min(reached, kStepBytes)));
  }
  const std::uint64_t over = cache_.memory() - std::min(cache_.memory(), cache_.bytes_max());
  const std::uint64_t given = cache_.give_up(std::min(std::max(idle_, over / kBlockBytes), kStepBytes / kBlockBytes));
  idle_ = given == 0 ? 0 : idle_ - std::min(idle_, given);
  if (idle_ > 0 || goal_ < cache_.bytes_max()) steps_.set(kStepNs);
}

}  // namespace rideau::client
