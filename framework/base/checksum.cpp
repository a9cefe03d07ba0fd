// SPDX-License-Identifier: Apache-2.0
#include "framework/base/checksum.hpp"

#include <algorithm>

#include <isa-l/crc.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

namespace rideau {

std::uint32_t crc32c(Bytes data, std::uint32_t previous) noexcept {
  // ISA-L takes the raw register: inverted before and after. Its pointer is not const, the data is not written.
  return ~crc32_iscsi(const_cast<unsigned char*>(data.data), static_cast<int>(data.size), ~previous);
}

std::uint32_t crc32c(const IoVec* parts, std::uint32_t part_count, std::uint64_t size) noexcept {
  std::uint32_t sum = 0;
  for (std::uint32_t i = 0; i < part_count && size > 0; ++i) {
    const std::uint64_t take = std::min<std::uint64_t>(size, parts[i].size);
    sum = crc32c(Bytes(parts[i].base, take), sum);
    size -= take;
  }
  return sum;
}

std::uint64_t hash64(Bytes data, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(data.data, data.size, seed);
}

}  // namespace rideau
