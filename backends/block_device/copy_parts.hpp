// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rideau/buffer.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace rideau::block_device {

// Copies between `size` bytes at `memory` and the parts of a buffer.
inline void copy_parts(const std::vector<IoVec>& parts, std::uint8_t* memory, std::uint64_t size,
                       bool to_parts) noexcept {
  for (const IoVec& part : parts) {
    const std::uint64_t count = std::min<std::uint64_t>(size, part.size);
    if (to_parts) {
      std::memcpy(part.base, memory, count);
    } else {
      std::memcpy(memory, part.base, count);
    }
    memory += count;
    size -= count;
  }
}

}  // namespace rideau::block_device
