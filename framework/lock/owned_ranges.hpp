// SPDX-License-Identifier: Apache-2.0
// What one owner holds of one thing that is locked by ranges: ranges that do not overlap, each in one mode. As locks of
// fcntl(2) are held: a new lock replaces what its owner had there, cutting and splitting it, and neighbours of one mode
// become one.
#pragma once

#include "framework/lock/lock_manager.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace rideau::lock {

constexpr std::uint64_t kRangeLast = INT64_MAX;  // the last position there is: "to the end"

// Both ends belong to it.
struct Range {
  std::uint64_t first = 0;
  std::uint64_t last = kRangeLast;
  bool operator==(const Range&) const = default;
};

constexpr bool overlap(Range a, Range b) noexcept { return a.first <= b.last && b.first <= a.last; }

struct HeldRange {
  Range range{};
  Mode mode = Mode::none;
  bool operator==(const HeldRange&) const = default;
};

class OwnedRanges {
 public:
  // From here on the range is held in this mode and no other; none: it is not held.
  void set(Range range, Mode mode);
  // By how much count() can grow with such a set(): 0 means that it certainly does not.
  std::size_t growth(Range range, Mode mode) const;
  // The first of the held ranges that another owner's lock of this mode would conflict with.
  std::optional<HeldRange> conflict(Range range, Mode mode) const;

  // By their first position.
  std::vector<HeldRange> all() const;

  bool empty() const noexcept { return ranges_.empty(); }
  std::size_t count() const noexcept { return ranges_.size(); }

 private:
  struct Rest {
    std::uint64_t last;
    Mode mode;
  };
  using Ranges = std::map<std::uint64_t, Rest>;  // by their first position
  // The first held range that ends at `position` or behind it.
  Ranges::const_iterator at_or_behind(std::uint64_t position) const;
  void cut(Range range);
  void join_with_next(Ranges::iterator at);

  Ranges ranges_;
};

}  // namespace rideau::lock
