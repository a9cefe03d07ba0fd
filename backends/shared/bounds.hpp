// SPDX-License-Identifier: Apache-2.0
// What every object store refuses before it begins a call: more than its limits say.
#pragma once

#include "rideau/object_store.hpp"

namespace rideau::backend {

inline Status fits_object(const ObjectLimits& limits, std::uint64_t offset, std::uint64_t size) noexcept {
  const bool fits = offset <= limits.object_bytes_max && size <= limits.object_bytes_max - offset;
  return fits ? kOk : Status{Code::too_large, 0, "over object_bytes_max"};
}

// Adds up the parts of a buffer.
inline Status measure_parts(const ObjectLimits& limits, const IoVec* parts, std::uint32_t part_count,
                            std::uint64_t* size) noexcept {
  *size = 0;
  if (part_count > limits.parts_max) return {Code::too_large, 0, "too many parts of a buffer"};
  for (std::uint32_t i = 0; i < part_count; ++i) {
    if (parts[i].size > limits.io_bytes_max - *size) return {Code::too_large, 0, "over io_bytes_max"};
    *size += parts[i].size;
  }
  return kOk;
}

}  // namespace rideau::backend
