// SPDX-License-Identifier: Apache-2.0
// Which blocks of the device are free, in memory: runs by place and by length. Made anew at each start from the map.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace rideau::block_device {

// Blocks that lie side by side on the device.
struct Run {
  std::uint64_t place = 0;  // number of the first block on the device
  std::uint64_t count = 0;
  friend bool operator==(const Run&, const Run&) = default;
};

class FreeSpace {
 public:
  std::uint64_t count() const noexcept { return count_; }
  std::size_t run_count() const noexcept { return by_place_.size(); }

  // In the beginning: these are free, ascending and none beside another.
  void assign(const std::vector<Run>& runs);
  // Becomes free; joined with its neighbours. False, and nothing happens, when a part of it is free already.
  bool add(Run run);
  // Takes `count` blocks, of which there are so many: at `wish` when that is free (0: no wish), else in the smallest
  // run that holds them, else in as few of the largest as it takes.
  void take(std::uint64_t count, std::uint64_t wish, std::vector<Run>& out);
  // At most `count` blocks from one run: at `wish`, or from the beginning of the largest run.
  Run take_window(std::uint64_t count, std::uint64_t wish);

 private:
  using ByPlace = std::map<std::uint64_t, std::uint64_t>;  // place to count
  void cut(ByPlace::iterator from, Run run);
  ByPlace::iterator containing(std::uint64_t place);

  ByPlace by_place_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> by_count_;  // count, place
  std::uint64_t count_ = 0;
};

}  // namespace rideau::block_device
