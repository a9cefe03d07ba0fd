// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/lock_budget.hpp"

#include <algorithm>
#include <vector>

namespace rideau::mds {

// So many that, with nobody above it, three quarters of the room are taken: who has few keeps them all.
std::uint64_t LockBudget::share() const {
  std::vector<std::uint64_t> counts;
  for (const auto& [id, session] : sessions_.all()) counts.push_back(count(id));
  std::sort(counts.begin(), counts.end());
  std::uint64_t left = locks_max_ / 4 * 3;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::uint64_t each = left / (counts.size() - i);
    if (counts[i] > each) return std::max<std::uint64_t>(each, 1);
    left -= counts[i];
  }
  return locks_max_;
}

// Giving back takes its time, so this is not done with every lock.
void LockBudget::adjust() {
  constexpr std::uint64_t kPauseNs = 200 * kMillisecond;
  const std::uint64_t now = runtime_.now_ns();
  if (now < next_ns_) return;
  next_ns_ = now + kPauseNs;
  const std::uint64_t each = share();
  limited_ = each != locks_max_;
  for (const auto& [id, session] : sessions_.all()) {
    if (session->link == nullptr) continue;
    // Who has no link now is asked for what he must give back, and not told that he may have more.
    if (limited_ ? count(id) > each : session->link->connected()) callbacks_.set_budget(id, each);
  }
}

}  // namespace rideau::mds
