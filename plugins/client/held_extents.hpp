// SPDX-License-Identifier: Apache-2.0
// The parts of one file that a client holds, and what of each it has used: who is asked for a range gives back with it
// what he does not use beside it, so that neighbours soon leave each other alone.
#pragma once

#include "framework/lock/extent_locks.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace rideau::client {

// Neighbours share no block of the cache, and no page.
constexpr std::uint64_t kExtentBytes = 64 * 1024;

// The range in whole blocks.
constexpr lock::Extent in_whole_extents(lock::Extent range) noexcept {
  range.begin = range.begin / kExtentBytes * kExtentBytes;
  if (range.end > lock::kExtentEnd - kExtentBytes) {
    range.end = lock::kExtentEnd;
  } else {
    range.end = (range.end + kExtentBytes - 1) / kExtentBytes * kExtentBytes;
  }
  return range;
}

class HeldExtents {
 public:
  // From here on the range is held, in this mode or a stronger one.
  void add(lock::Extent range, lock::Mode mode);
  void remove(lock::Extent range);
  void clear() noexcept { pieces_.clear(); }
  // Whether all of the range is held in this mode or a stronger one.
  bool covers(lock::Extent range, lock::Mode mode) const { return reach(range.begin, mode) >= range.end; }
  bool holds_any(lock::Extent range) const { return !to_give(range).empty(); }
  // The end of what is held without a gap from there on, in this mode or a stronger one; the position itself: nothing.
  std::uint64_t reach(std::uint64_t position, lock::Mode mode) const;
  // Something in the range, which is held, was read or written.
  void use(lock::Extent range);
  // What is best given back where this range is wanted: at least what is held of it.
  lock::Extent to_give(lock::Extent wanted) const;
  bool any_exclusive() const;
  bool empty() const noexcept { return pieces_.empty(); }
  std::size_t count() const noexcept { return pieces_.size(); }

  struct Held {
    lock::Extent range{};
    lock::Mode mode = lock::Mode::none;
    friend bool operator==(const Held&, const Held&) = default;
  };
  std::vector<Held> all() const;

 private:
  struct Piece {
    std::uint64_t end;
    lock::Mode mode;
    lock::Extent used;  // around everything that was; empty: nothing was
  };
  using Pieces = std::map<std::uint64_t, Piece>;  // by their begin
  Pieces::iterator behind(std::uint64_t position);
  void split(std::uint64_t position);
  void join();

  Pieces pieces_;
};

}  // namespace rideau::client
