// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/fault_plan.hpp"

#include "framework/runtime/runtime.hpp"
#include "tests/sim/sim_random.hpp"

#include <algorithm>
#include <cstdio>

namespace rideau::sim {
namespace {

#define RIDEAU_SIM_NAME(name) #name,
constexpr const char* kNames[] = {RIDEAU_SIM_FAULTS(RIDEAU_SIM_NAME)};
#undef RIDEAU_SIM_NAME
constexpr std::size_t kKinds = static_cast<std::size_t>(FaultKind::count);

// Mostly shorter than any timeout, sometimes longer than those that cost a client its session.
std::uint64_t outage(Random& random) {
  const std::uint64_t dice = random.below(10);
  if (dice < 5) return 1 + random.below(kSecond);
  if (dice < 8) return random.below(5 * kSecond);
  return random.below(40 * kSecond);
}

std::uint64_t duration(FaultKind kind, Random& random) {
  switch (kind) {
    case FaultKind::partitions:
    case FaultKind::pauses:
      return outage(random);
    case FaultKind::kills:
    case FaultKind::power:
    case FaultKind::machines:
      return 1 + random.below(random.chance(50) ? 20 * kMillisecond : 3 * kSecond);
    case FaultKind::delays:
    case FaultKind::bulk:
    case FaultKind::slow:
    case FaultKind::full:
    case FaultKind::errors:
      return 1 + random.below(3 * kSecond);
    case FaultKind::strays:
      // Beyond the silence that ends a link, and the lease behind it; and a while after it woke up.
      return kStrayAwakeNs + 13 * kSecond + random.below(10 * kSecond);
    default:
      return 0;
  }
}

}  // namespace

FaultKinds FaultKinds::all() noexcept {
  FaultKinds kinds;
  for (std::size_t i = 0; i < kKinds; ++i) kinds.add(static_cast<FaultKind>(i));
  return kinds;
}

FaultKinds FaultKinds::usual() noexcept { return all(); }

const char* fault_name(FaultKind kind) noexcept { return kNames[static_cast<std::size_t>(kind)]; }

bool parse_faults(std::string_view text, FaultKinds* to) {
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view word = text.substr(0, comma);
    const auto found = std::find(std::begin(kNames), std::end(kNames), word);
    if (found == std::end(kNames)) return false;
    to->add(static_cast<FaultKind>(found - std::begin(kNames)));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return !to->none();
}

std::string to_text(const FaultKinds& kinds) {
  std::string text;
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (!kinds.has(static_cast<FaultKind>(i))) continue;
    text += (text.empty() ? "" : ",") + std::string(kNames[i]);
  }
  return text;
}

FaultPlan make_fault_plan(std::uint64_t seed, const FaultKinds& kinds) {
  Random random(seed * 0x9e37'79b9'7f4a'7c15ull + 0x5851'f42d);
  std::vector<FaultKind> allowed;
  for (std::size_t i = 0; i < kKinds; ++i) {
    if (kinds.has(static_cast<FaultKind>(i))) allowed.push_back(static_cast<FaultKind>(i));
  }
  // A few kinds a seed: where everything breaks at once, little is left to go wrong.
  std::vector<FaultKind> chosen;
  const std::uint64_t kinds_wanted = 1 + random.below(3);
  while (!allowed.empty() && chosen.size() < kinds_wanted) {
    const auto at = allowed.begin() + static_cast<std::ptrdiff_t>(random.below(allowed.size()));
    chosen.push_back(*at);
    allowed.erase(at);
  }
  static constexpr std::uint64_t kSpans[] = {80 * kMillisecond, kSecond, 8 * kSecond};
  const std::uint64_t span = kSpans[random.below(3)];
  FaultPlan plan;
  plan.think_ns_max = span / 16;
  const std::uint64_t count = 1 + random.below(6);
  for (std::uint64_t i = 0; i < count && !chosen.empty(); ++i) {
    Fault fault;
    fault.kind = chosen[random.below(chosen.size())];
    fault.begin_ns = random.below(span);
    fault.end_ns = fault.begin_ns + duration(fault.kind, random);
    for (std::uint64_t& dice : fault.dice) dice = random.next();
    plan.faults.push_back(fault);
  }
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const Fault& a, const Fault& b) { return a.begin_ns < b.begin_ns; });
  return plan;
}

std::string to_text(const Fault& fault) {
  char text[96];
  std::snprintf(text, sizeof text, "%s from %.6f s to %.6f s", fault_name(fault.kind),
                static_cast<double>(fault.begin_ns) / 1e9, static_cast<double>(fault.end_ns) / 1e9);
  return text;
}

}  // namespace rideau::sim
