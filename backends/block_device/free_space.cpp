// SPDX-License-Identifier: Apache-2.0
#include "free_space.hpp"

#include <algorithm>

namespace rideau::block_device {

FreeSpace::ByPlace::iterator FreeSpace::containing(std::uint64_t place) {
  auto at = by_place_.upper_bound(place);
  if (at == by_place_.begin()) return by_place_.end();
  --at;
  return place - at->first < at->second ? at : by_place_.end();
}

void FreeSpace::assign(const std::vector<Run>& runs) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> by_count;
  by_count.reserve(runs.size());
  for (const Run run : runs) {
    by_place_.emplace_hint(by_place_.end(), run.place, run.count);
    by_count.emplace_back(run.count, run.place);
    count_ += run.count;
  }
  std::sort(by_count.begin(), by_count.end());
  by_count_ = {by_count.begin(), by_count.end()};
}

bool FreeSpace::add(Run run) {
  if (run.count == 0) return true;
  auto after = by_place_.lower_bound(run.place);
  if (after != by_place_.end() && after->first < run.place + run.count) return false;
  if (containing(run.place) != by_place_.end()) return false;
  count_ += run.count;
  if (after != by_place_.begin()) {
    const auto before = std::prev(after);
    if (before->first + before->second == run.place) {
      run = {before->first, before->second + run.count};
      by_count_.erase({before->second, before->first});
      by_place_.erase(before);
    }
  }
  if (after != by_place_.end() && after->first == run.place + run.count) {
    run.count += after->second;
    by_count_.erase({after->second, after->first});
    by_place_.erase(after);
  }
  by_place_.emplace(run.place, run.count);
  by_count_.emplace(run.count, run.place);
  return true;
}

// Takes `run`, which lies in the free run `from`.
void FreeSpace::cut(ByPlace::iterator from, Run run) {
  const Run whole{from->first, from->second};
  by_count_.erase({whole.count, whole.place});
  by_place_.erase(from);
  const Run before{whole.place, run.place - whole.place};
  const Run after{run.place + run.count, whole.place + whole.count - run.place - run.count};
  for (const Run rest : {before, after}) {
    if (rest.count == 0) continue;
    by_place_.emplace(rest.place, rest.count);
    by_count_.emplace(rest.count, rest.place);
  }
  count_ -= run.count;
}

void FreeSpace::take(std::uint64_t count, std::uint64_t wish, std::vector<Run>& out) {
  if (wish != 0) {
    if (const auto at = containing(wish); at != by_place_.end()) {
      const Run run{wish, std::min(count, at->first + at->second - wish)};
      cut(at, run);
      out.push_back(run);
      count -= run.count;
    }
  }
  while (count != 0) {
    auto fits = by_count_.lower_bound({count, 0});
    if (fits == by_count_.end()) --fits;
    const Run run{fits->second, std::min(count, fits->first)};
    cut(by_place_.find(run.place), run);
    out.push_back(run);
    count -= run.count;
  }
}

Run FreeSpace::take_window(std::uint64_t count, std::uint64_t wish) {
  if (by_count_.empty()) return {};
  auto at = wish != 0 ? containing(wish) : by_place_.end();
  std::uint64_t place = wish;
  if (at == by_place_.end()) {
    at = by_place_.find(by_count_.rbegin()->second);
    place = at->first;
  }
  const Run run{place, std::min(count, at->first + at->second - place)};
  cut(at, run);
  return run;
}

}  // namespace rideau::block_device
