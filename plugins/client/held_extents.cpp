// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/held_extents.hpp"

#include <algorithm>
#include <iterator>

namespace rideau::client {

using lock::Extent;
using lock::Mode;

namespace {

constexpr Extent kNothing{lock::kExtentEnd, 0};

Extent common(Extent a, Extent b) noexcept {
  const Extent both{std::max(a.begin, b.begin), std::min(a.end, b.end)};
  return both.empty() ? kNothing : both;
}
Extent around(Extent a, Extent b) noexcept {
  if (a.empty()) return b;
  if (b.empty()) return a;
  return {std::min(a.begin, b.begin), std::max(a.end, b.end)};
}

}  // namespace

HeldExtents::Pieces::iterator HeldExtents::behind(std::uint64_t position) {
  auto at = pieces_.upper_bound(position);
  if (at != pieces_.begin() && std::prev(at)->second.end > position) --at;
  return at;
}

void HeldExtents::split(std::uint64_t position) {
  const auto at = behind(position);
  if (at == pieces_.end() || at->first >= position) return;
  Piece& lower = at->second;
  Piece upper = lower;
  lower.end = position;
  lower.used = common(lower.used, {at->first, position});
  upper.used = common(upper.used, {position, upper.end});
  pieces_.emplace(position, upper);
}

void HeldExtents::join() {
  for (auto at = pieces_.begin(); at != pieces_.end();) {
    const auto next = std::next(at);
    if (next == pieces_.end()) return;
    if (next->first != at->second.end || next->second.mode != at->second.mode) {
      at = next;
      continue;
    }
    at->second.end = next->second.end;
    at->second.used = around(at->second.used, next->second.used);
    pieces_.erase(next);
  }
}

void HeldExtents::add(Extent range, Mode mode) {
  split(range.begin);
  split(range.end);
  for (std::uint64_t at = range.begin; at < range.end;) {
    const auto piece = behind(at);
    if (piece != pieces_.end() && piece->first == at) {
      piece->second.mode = std::max(piece->second.mode, mode);
      at = piece->second.end;
      continue;
    }
    const std::uint64_t end = piece != pieces_.end() ? std::min(piece->first, range.end) : range.end;
    pieces_.emplace(at, Piece{end, mode, kNothing});
    at = end;
  }
  join();
}

void HeldExtents::remove(Extent range) {
  split(range.begin);
  split(range.end);
  for (auto at = behind(range.begin); at != pieces_.end() && at->first < range.end;) at = pieces_.erase(at);
}

std::uint64_t HeldExtents::reach(std::uint64_t position, Mode mode) const {
  auto at = pieces_.upper_bound(position);
  if (at == pieces_.begin()) return position;
  for (--at; at != pieces_.end() && at->first <= position && at->second.end > position; ++at) {
    if (at->second.mode < mode) break;
    position = at->second.end;
  }
  return position;
}

void HeldExtents::use(Extent range) {
  for (auto at = behind(range.begin); at != pieces_.end() && at->first < range.end; ++at) {
    at->second.used = around(at->second.used, common(in_whole_extents(range), {at->first, at->second.end}));
  }
}

Extent HeldExtents::to_give(Extent wanted) const {
  Extent all = kNothing;
  auto at = pieces_.upper_bound(wanted.begin);
  if (at != pieces_.begin() && std::prev(at)->second.end > wanted.begin) --at;
  for (; at != pieces_.end() && at->first < wanted.end; ++at) {
    Extent give{at->first, at->second.end};
    const Extent used = at->second.used;
    if (!used.empty()) {
      // Of what lies on either side of the wish, as much as was not used.
      if (used.begin < wanted.begin) give.begin = std::min(used.end, wanted.begin);
      if (used.end > wanted.end) give.end = std::max(used.begin, wanted.end);
      give.begin = std::max(give.begin, at->first);
      give.end = std::min(give.end, at->second.end);
    }
    all = around(all, give);
  }
  return all;
}

bool HeldExtents::any_exclusive() const {
  return std::any_of(pieces_.begin(), pieces_.end(),
                     [](const auto& piece) { return piece.second.mode == Mode::exclusive; });
}

std::vector<HeldExtents::Held> HeldExtents::all() const {
  std::vector<Held> found;
  for (const auto& [begin, piece] : pieces_) found.push_back({{begin, piece.end}, piece.mode});
  return found;
}

}  // namespace rideau::client
