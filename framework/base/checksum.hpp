// SPDX-License-Identifier: Apache-2.0
// Checksums of the system: crc32c for payloads on wire and disk, xxh3 for keyed hashes. Both from libraries.
#pragma once

#include "rideau/buffer.hpp"

#include <cstdint>

namespace rideau {

// CRC-32C (Castagnoli), as in iSCSI (RFC 3720); chain by passing the previous result. crc32c("123456789") = 0xe3069283.
std::uint32_t crc32c(Bytes data, std::uint32_t previous = 0) noexcept;
std::uint32_t crc32c(const IoVec* parts, std::uint32_t part_count, std::uint64_t size) noexcept;

// XXH3, 64 bits, with a seed: not for checks against malice, but a secret seed keeps collisions from being chosen.
std::uint64_t hash64(Bytes data, std::uint64_t seed) noexcept;

}  // namespace rideau
