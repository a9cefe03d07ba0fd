// SPDX-License-Identifier: Apache-2.0
#include "framework/lock/owned_ranges.hpp"

#include "framework/base/assert.hpp"

#include <iterator>

namespace rideau::lock {

OwnedRanges::Ranges::const_iterator OwnedRanges::at_or_behind(std::uint64_t position) const {
  auto at = ranges_.upper_bound(position);
  if (at != ranges_.begin()) {
    const auto before = std::prev(at);
    if (before->second.last >= position) return before;
  }
  return at;
}

// Nothing of the range is held afterwards.
void OwnedRanges::cut(Range range) {
  for (auto at = at_or_behind(range.first); at != ranges_.end() && at->first <= range.last;) {
    const std::uint64_t first = at->first;
    const Rest rest = at->second;
    at = ranges_.erase(at);
    if (first < range.first) ranges_.emplace(first, Rest{range.first - 1, rest.mode});
    if (rest.last > range.last) at = ranges_.emplace(range.last + 1, Rest{rest.last, rest.mode}).first;
  }
}

void OwnedRanges::join_with_next(Ranges::iterator at) {
  const auto next = std::next(at);
  if (next == ranges_.end() || next->second.mode != at->second.mode) return;
  if (at->second.last == kRangeLast || next->first != at->second.last + 1) return;
  at->second.last = next->second.last;
  ranges_.erase(next);
}

void OwnedRanges::set(Range range, Mode mode) {
  RIDEAU_ASSERT(range.first <= range.last && range.last <= kRangeLast);
  cut(range);
  if (mode == Mode::none) return;
  const auto at = ranges_.emplace(range.first, Rest{range.last, mode}).first;
  join_with_next(at);
  if (at != ranges_.begin()) join_with_next(std::prev(at));
}

std::size_t OwnedRanges::growth(Range range, Mode mode) const {
  if (mode != Mode::none) return 2;
  const auto at = at_or_behind(range.first);
  return at != ranges_.end() && at->first < range.first && at->second.last > range.last ? 1 : 0;
}

std::optional<HeldRange> OwnedRanges::conflict(Range range, Mode mode) const {
  for (auto at = at_or_behind(range.first); at != ranges_.end() && at->first <= range.last; ++at) {
    if (!compatible(at->second.mode, mode)) return HeldRange{{at->first, at->second.last}, at->second.mode};
  }
  return std::nullopt;
}

std::vector<HeldRange> OwnedRanges::all() const {
  std::vector<HeldRange> found;
  for (const auto& [first, rest] : ranges_) found.push_back({{first, rest.last}, rest.mode});
  return found;
}

}  // namespace rideau::lock
