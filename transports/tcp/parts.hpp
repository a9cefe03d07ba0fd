// SPDX-License-Identifier: Apache-2.0
// A place in a gathered or scattered buffer: where the next byte comes from or goes to.
#pragma once

#include "rideau/buffer.hpp"

#include <cstdint>

namespace rideau::tcp {

// Sum of the sizes, saturating: parts come from callers and may overflow.
std::uint64_t total_size(const IoVec* parts, std::uint32_t count) noexcept;

class PartCursor {
 public:
  PartCursor() noexcept = default;
  PartCursor(const IoVec* parts, std::uint32_t count) noexcept : parts_(parts), count_(count) {}

  void skip(std::uint64_t bytes) noexcept;
  // Copies into the parts and moves on.
  void write(const std::uint8_t* from, std::uint64_t bytes) noexcept;
  // Describes the next `bytes` with at most `capacity` entries; the place stays. Returns the number of entries, and in
  // *described how many bytes they cover.
  std::uint32_t describe(IoVec* out, std::uint32_t capacity, std::uint64_t bytes,
                         std::uint64_t* described) const noexcept;

 private:
  const IoVec* parts_ = nullptr;
  std::uint32_t count_ = 0;
  std::uint32_t index_ = 0;
  std::uint64_t offset_ = 0;  // in parts_[index_]
};

}  // namespace rideau::tcp
