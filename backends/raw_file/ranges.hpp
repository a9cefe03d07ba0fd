// SPDX-License-Identifier: Apache-2.0
// Ranges: sets of numbers as runs, sorted and apart from each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rideau::raw_file {

struct Range {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class Ranges {
 public:
  static constexpr std::uint64_t kNoEnd = ~0ull;

  void add(Range range);
  void add(const Ranges& others);
  void remove(Range range);
  void clear() noexcept { runs_.clear(); }
  bool empty() const noexcept { return runs_.empty(); }
  bool contains(std::uint64_t number) const noexcept { return covers({number, number + 1}); }
  bool covers(Range range) const noexcept;
  // How many numbers before this one are in without a gap.
  std::uint64_t reaching(std::uint64_t number) const noexcept;
  // Takes in what lies between the runs that are closest to each other, until at most `count` are left.
  void bound(std::size_t count);
  const std::vector<Range>& runs() const noexcept { return runs_; }

 private:
  std::vector<Range> runs_;
};

}  // namespace rideau::raw_file
