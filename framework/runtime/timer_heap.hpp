// SPDX-License-Identifier: Apache-2.0
// Pending sleeps by deadline, then by order of arrival: a binary heap that knows the place of each entry (kept in
// Completion::host_slot[0]), so that a timer can be taken out before it rings.
#pragma once

#include "rideau/completion.hpp"

#include <cstdint>
#include <vector>

namespace rideau {

class TimerHeap {
 public:
  void add(Completion& sleeper, std::uint64_t deadline_ns);
  // False when the completion is not in the heap (its host_slot[0] must be null then).
  bool remove(Completion& sleeper) noexcept;
  bool empty() const noexcept { return entries_.empty(); }
  std::uint64_t earliest_ns() const noexcept { return entries_.front().deadline_ns; }
  Completion& take_earliest() noexcept;

 private:
  struct Entry {
    std::uint64_t deadline_ns;
    std::uint64_t order;
    Completion* sleeper;
  };
  bool before(std::size_t a, std::size_t b) const noexcept;
  void place(std::size_t index, const Entry& entry) noexcept;
  void swap(std::size_t a, std::size_t b) noexcept;
  void sift_up(std::size_t index) noexcept;
  void sift_down(std::size_t index) noexcept;
  void remove_at(std::size_t index) noexcept;

  std::vector<Entry> entries_;
  std::uint64_t next_order_ = 0;
};

}  // namespace rideau
