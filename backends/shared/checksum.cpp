// SPDX-License-Identifier: Apache-2.0
#include "checksum.hpp"

#include <isa-l/crc.h>

namespace rideau::backend {

std::uint32_t crc32c(const void* data, std::size_t size, std::uint32_t previous) noexcept {
  // ISA-L takes the raw register: inverted before and after. Its pointer is not const, the data is not written.
  auto* bytes = static_cast<unsigned char*>(const_cast<void*>(data));
  return ~crc32_iscsi(bytes, static_cast<int>(size), ~previous);
}

}  // namespace rideau::backend
