// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace rideau::backend {

// CRC-32C of what is on disk; chained by passing the previous result.
std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t previous = 0) noexcept;

}  // namespace rideau::backend
