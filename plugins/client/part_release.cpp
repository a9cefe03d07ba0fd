// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/part_release.hpp"

#include <algorithm>
#include <utility>

namespace rideau::client {

using lock::Extent;

namespace {

void take_out(Extent what, std::vector<Extent>& of) {
  std::vector<Extent> rest;
  for (const Extent one : of) {
    if (!one.overlaps(what)) {
      rest.push_back(one);
      continue;
    }
    if (one.begin < what.begin) rest.push_back({one.begin, what.begin});
    if (what.end < one.end) rest.push_back({what.end, one.end});
  }
  of = std::move(rest);
}

}  // namespace

Extent in_whole_pages(Extent range) noexcept {
  constexpr std::uint64_t kPageBytesMin = 4096;
  return {range.begin / kPageBytesMin * kPageBytesMin, (range.end + kPageBytesMin - 1) / kPageBytesMin * kPageBytesMin};
}

std::uint64_t border_in(const DataCalls& waiting, Extent range) noexcept {
  for (const DataCall& call : waiting) {
    // Appends and cuts, which want the end, hold no page.
    if (call.fills_pages || call.range.end == lock::kExtentEnd) continue;
    const std::uint64_t border = (call.range.end - 1) / kExtentBytes * kExtentBytes;
    if (border > range.begin && border < range.end) return border;
  }
  return 0;
}

std::vector<Extent> pages_to_drop(const NodeParts& parts, Extent range) {
  std::vector<Extent> left;
  for (const HeldExtents::Held& one : parts.held.all()) {
    const Extent both{std::max(one.range.begin, range.begin), std::min(one.range.end, range.end)};
    if (!both.empty()) left.push_back(both);
  }
  for (const DataCall& call : parts.waiting) {
    if (call.fills_pages) take_out(in_whole_pages(call.range), left);
  }
  return left;
}

std::vector<Extent> left_of_grant(const NodeParts& parts, Extent range, lock::GrantNumber number) {
  std::vector<Extent> left{range};
  for (const NodeParts::Given& one : parts.given) {
    if (one.number >= number) take_out(one.range, left);
  }
  return left;
}

}  // namespace rideau::client
