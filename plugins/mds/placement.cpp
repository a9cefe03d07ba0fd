// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/placement.hpp"

#include "framework/base/limits.hpp"

#include <algorithm>

namespace rideau::mds {

using namespace fs;

namespace {

constexpr std::uint64_t kFullBytes = 64ull << 20;  // so little is left for what is on the target already
constexpr std::uint64_t kWeightUnit = 1ull << 20;  // of free space; weights are far from the ends of their type

// Numbers of turns, one after the other, spread evenly over [0, bound): multiples of the golden ratio.
std::uint64_t spread(std::uint64_t turn, std::uint64_t bound) noexcept {
  const std::uint64_t fraction = (turn * 0x9e3779b97f4a7c15ull) >> 32;
  return fraction * bound >> 32;
}

}  // namespace

const std::vector<TargetId>& Placement::usable(const std::string& pool) {
  const auto [found, is_new] = usable_.try_emplace(pool);
  if (!is_new) return found->second;
  const auto members = options_.pools.find(pool);
  for (const TargetId target : options_.object_targets) {
    if (drains_.contains(target)) continue;
    const bool is_member = pool.empty() || (members != options_.pools.end() &&
                                            std::count(members->second.begin(), members->second.end(), target) != 0);
    if (is_member) found->second.push_back(target);
  }
  return found->second;
}

std::vector<TargetId> Placement::places() const {
  std::vector<TargetId> all = options_.object_targets;
  for (const auto& [target, drain] : drains_) all.push_back(target);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

Layout Placement::choose(const LayoutDefault& wish, const std::string& pool, std::uint64_t turn) {
  const std::vector<TargetId>& targets = usable(pool);
  const std::size_t all = targets.size();
  Layout layout;
  layout.generation = 1;
  layout.stripe_size = wish.stripe_size != 0 ? wish.stripe_size : options_.stripe_size;
  layout.inline_max = wish.inline_max != kInlineAsConfigured ? wish.inline_max : options_.inline_max.value_or(0);
  if (all == 0) return layout;
  const std::uint32_t wanted = wish.stripe_count != 0 ? wish.stripe_count : options_.stripe_count;
  const std::size_t count = std::clamp<std::size_t>(wanted, 1, std::min<std::size_t>(all, limits::kStripeCountMax));
  layout.targets.reserve(count);
  const bool free_choice = wish.stripe_offset < 0 && count < all;
  std::size_t at = wish.stripe_offset >= 0 ? wished(targets, wish.stripe_offset)
                   : free_choice           ? first(targets, turn)
                                           : turn % all;
  std::size_t to_pass = free_choice ? all - count : 0;
  for (; layout.targets.size() < count; ++at) {
    const TargetId target = targets[at % all];
    if (to_pass > 0 && is_full(target)) {
      --to_pass;
    } else {
      layout.targets.push_back(target);
    }
  }
  if (free_choice && !chose_) {
    chose_ = true;
    choices_.wake_all();
  }
  return layout;
}

// The target at that place, or the next one that takes files.
std::size_t Placement::wished(const std::vector<TargetId>& targets, std::int32_t offset) const {
  const std::vector<TargetId> all = places();
  const TargetId at = all[static_cast<std::size_t>(offset) % all.size()];
  const auto next = std::lower_bound(targets.begin(), targets.end(), at);
  return next == targets.end() ? 0 : static_cast<std::size_t>(next - targets.begin());
}

std::size_t Placement::first(const std::vector<TargetId>& targets, std::uint64_t turn) const {
  std::uint64_t least = ~0ull;
  std::uint64_t most = 0;
  std::uint64_t sum = 0;
  for (const TargetId target : targets) {
    const auto known = free_.find(target);
    if (known == free_.end()) return turn % targets.size();
    least = std::min(least, known->second);
    most = std::max(most, known->second);
    sum += known->second / kWeightUnit;
  }
  if (most - least <= most / 5) return turn % targets.size();
  std::uint64_t point = spread(turn, sum);
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const std::uint64_t weight = free_.at(targets[i]) / kWeightUnit;
    if (point < weight) return i;
    point -= weight;
  }
  return turn % targets.size();
}

bool Placement::is_full(TargetId target) const {
  const auto known = free_.find(target);
  return known != free_.end() && known->second < kFullBytes;
}

Task<> Placement::until_choice() {
  if (!chose_) co_await choices_.wait();
  chose_ = false;
}

}  // namespace rideau::mds
