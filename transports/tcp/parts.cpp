// SPDX-License-Identifier: Apache-2.0
#include "parts.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::tcp {

std::uint64_t total_size(const IoVec* parts, std::uint32_t count) noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (__builtin_add_overflow(sum, static_cast<std::uint64_t>(parts[i].size), &sum)) return UINT64_MAX;
  }
  return sum;
}

void PartCursor::skip(std::uint64_t bytes) noexcept {
  while (bytes > 0 && index_ < count_) {
    const std::uint64_t here = parts_[index_].size - offset_;
    if (bytes < here) {
      offset_ += bytes;
      return;
    }
    bytes -= here;
    ++index_;
    offset_ = 0;
  }
}

void PartCursor::write(const std::uint8_t* from, std::uint64_t bytes) noexcept {
  while (bytes > 0 && index_ < count_) {
    const std::uint64_t take = std::min<std::uint64_t>(bytes, parts_[index_].size - offset_);
    if (take > 0) std::memcpy(static_cast<std::uint8_t*>(parts_[index_].base) + offset_, from, take);
    from += take;
    bytes -= take;
    offset_ += take;
    if (offset_ == parts_[index_].size) {
      ++index_;
      offset_ = 0;
    }
  }
}

std::uint32_t PartCursor::describe(IoVec* out, std::uint32_t capacity, std::uint64_t bytes,
                                   std::uint64_t* described) const noexcept {
  std::uint32_t made = 0;
  std::uint64_t covered = 0;
  std::uint64_t offset = offset_;
  for (std::uint32_t i = index_; i < count_ && covered < bytes; ++i, offset = 0) {
    const std::uint64_t take = std::min<std::uint64_t>(bytes - covered, parts_[i].size - offset);
    if (take == 0) continue;
    if (made == capacity) break;
    out[made++] = {static_cast<std::uint8_t*>(parts_[i].base) + offset, take};
    covered += take;
  }
  *described = covered;
  return made;
}

}  // namespace rideau::tcp
