// SPDX-License-Identifier: Apache-2.0
// For authors of drivers, optional: walking through gathered and scattered buffers.
#pragma once

#include "rideau/buffer.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace rideau::driver {

// Sum of the sizes, saturating: parts come from callers and may overflow.
inline std::uint64_t total_size(const IoVec* parts, std::uint32_t count) noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (__builtin_add_overflow(sum, static_cast<std::uint64_t>(parts[i].size), &sum)) return UINT64_MAX;
  }
  return sum;
}

// A place in a gathered or scattered buffer: where the next byte comes from or goes to.
class PartCursor {
 public:
  PartCursor() noexcept = default;
  PartCursor(const IoVec* parts, std::uint32_t count) noexcept : parts_(parts), count_(count) {}

  void skip(std::uint64_t bytes) noexcept {
    while (bytes > 0 && index_ < count_) {
      const std::uint64_t take = std::min<std::uint64_t>(bytes, parts_[index_].size - offset_);
      bytes -= take;
      advance(take);
    }
  }
  // What lies together from here on; empty at the end.
  MutableBytes span() noexcept {
    while (index_ < count_ && offset_ == parts_[index_].size) advance(0);
    if (index_ == count_) return {};
    return {static_cast<std::uint8_t*>(parts_[index_].base) + offset_, parts_[index_].size - offset_};
  }
  // Copies from the parts, or into them, and moves on.
  void read(std::uint8_t* to, std::uint64_t bytes) noexcept {
    while (bytes > 0) {
      const MutableBytes here = span();
      const std::uint64_t take = std::min<std::uint64_t>(bytes, here.size);
      if (take == 0) return;
      std::memcpy(to, here.data, take);
      to += take;
      bytes -= take;
      advance(take);
    }
  }
  void write(const std::uint8_t* from, std::uint64_t bytes) noexcept {
    while (bytes > 0) {
      const MutableBytes here = span();
      const std::uint64_t take = std::min<std::uint64_t>(bytes, here.size);
      if (take == 0) return;
      std::memcpy(here.data, from, take);
      from += take;
      bytes -= take;
      advance(take);
    }
  }

 private:
  void advance(std::uint64_t bytes) noexcept {
    offset_ += bytes;
    if (offset_ < parts_[index_].size) return;
    ++index_;
    offset_ = 0;
  }

  const IoVec* parts_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint32_t index_ = 0;
  std::uint64_t offset_ = 0;  // in parts_[index_]
};

// From one buffer to another, as far as both reach. The two may overlap, as when a program reads what it also lends.
inline void copy_parts(PartCursor from, PartCursor to, std::uint64_t bytes) noexcept {
  while (bytes > 0) {
    const MutableBytes source = from.span();
    const MutableBytes target = to.span();
    const std::uint64_t take = std::min<std::uint64_t>({bytes, source.size, target.size});
    if (take == 0) return;
    std::memmove(target.data, source.data, take);
    from.skip(take);
    to.skip(take);
    bytes -= take;
  }
}

}  // namespace rideau::driver
