// SPDX-License-Identifier: Apache-2.0
#include "ranges.hpp"

#include <algorithm>

namespace rideau::raw_file {

void Ranges::add(Range range) {
  if (range.begin >= range.end) return;
  std::vector<Range> merged;
  for (const Range& run : runs_) {
    if (run.end < range.begin || run.begin > range.end) {
      merged.push_back(run);
    } else {
      range = {std::min(range.begin, run.begin), std::max(range.end, run.end)};
    }
  }
  const auto behind = [&range](const Range& run) { return run.begin > range.begin; };
  merged.insert(std::find_if(merged.begin(), merged.end(), behind), range);
  runs_ = std::move(merged);
}

void Ranges::add(const Ranges& others) {
  for (const Range& run : others.runs_) add(run);
}

void Ranges::remove(Range range) {
  if (range.begin >= range.end) return;
  std::vector<Range> left;
  for (const Range& run : runs_) {
    if (run.begin < std::min(run.end, range.begin)) left.push_back({run.begin, std::min(run.end, range.begin)});
    if (std::max(run.begin, range.end) < run.end) left.push_back({std::max(run.begin, range.end), run.end});
  }
  runs_ = std::move(left);
}

bool Ranges::covers(Range range) const noexcept {
  return std::any_of(runs_.begin(), runs_.end(),
                     [&range](const Range& run) { return run.begin <= range.begin && range.end <= run.end; });
}

std::uint64_t Ranges::reaching(std::uint64_t number) const noexcept {
  const auto found = std::find_if(runs_.begin(), runs_.end(),
                                  [number](const Range& run) { return run.begin < number && number <= run.end; });
  return found != runs_.end() ? number - found->begin : 0;
}

void Ranges::bound(std::size_t count) {
  while (runs_.size() > count) {
    std::size_t closest = 1;
    for (std::size_t i = 2; i < runs_.size(); ++i) {
      if (runs_[i].begin - runs_[i - 1].end < runs_[closest].begin - runs_[closest - 1].end) closest = i;
    }
    runs_[closest - 1].end = runs_[closest].end;
    runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(closest));
  }
}

}  // namespace rideau::raw_file
