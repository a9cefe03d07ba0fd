// SPDX-License-Identifier: Apache-2.0
// Pieces of gathered buffers: what both ends of object I/O do with arrays of IoVec.
#pragma once

#include "rideau/buffer.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace rideau::fs {

inline std::uint64_t parts_bytes(const IoVec* parts, std::uint32_t count) noexcept {
  std::uint64_t total = 0;
  for (std::uint32_t i = 0; i < count; ++i) total += parts[i].size;
  return total;
}

// Appends the parts that make up [offset, offset + size) of a gathered buffer, at most `parts_max` of them.
// Returns how many bytes those are.
inline std::uint64_t slice_parts(const IoVec* parts, std::uint32_t count, std::uint64_t offset, std::uint64_t size,
                                 std::size_t parts_max, std::vector<IoVec>& out) {
  std::uint64_t taken = 0;
  for (std::uint32_t i = 0; i < count && taken < size && out.size() < parts_max; ++i) {
    if (offset >= parts[i].size) {
      offset -= parts[i].size;
      continue;
    }
    const std::uint64_t here = std::min<std::uint64_t>(parts[i].size - offset, size - taken);
    out.push_back({static_cast<std::uint8_t*>(parts[i].base) + offset, here});
    taken += here;
    offset = 0;
  }
  return taken;
}

// Walks a gathered buffer from front to back, copying out of it or into it.
class PartsCursor {
 public:
  PartsCursor(const IoVec* parts, std::uint32_t count) noexcept : parts_(parts), count_(count) {}

  void copy_out(std::uint8_t* to, std::uint64_t size) noexcept {
    walk(size, [&](std::uint8_t* here, std::uint64_t n) {
      std::memcpy(to, here, n);
      to += n;
    });
  }
  void copy_in(const std::uint8_t* from, std::uint64_t size) noexcept {
    walk(size, [&](std::uint8_t* here, std::uint64_t n) {
      std::memcpy(here, from, n);
      from += n;
    });
  }
  void skip(std::uint64_t size) noexcept {
    walk(size, [](std::uint8_t*, std::uint64_t) {});
  }

 private:
  template <class Copy>
  void walk(std::uint64_t size, Copy copy) noexcept {
    while (size > 0 && index_ < count_) {
      const std::uint64_t here = std::min<std::uint64_t>(parts_[index_].size - offset_, size);
      if (here > 0) copy(static_cast<std::uint8_t*>(parts_[index_].base) + offset_, here);
      size -= here;
      offset_ += here;
      if (offset_ == parts_[index_].size) {
        ++index_;
        offset_ = 0;
      }
    }
  }
  const IoVec* parts_;
  std::uint32_t count_;
  std::uint32_t index_ = 0;
  std::uint64_t offset_ = 0;
};

}  // namespace rideau::fs
