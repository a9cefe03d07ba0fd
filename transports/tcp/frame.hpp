// SPDX-License-Identifier: Apache-2.0
// The frames on a TCP stream. Each is a header of 32 bytes, a head padded to 8 bytes and a body padded to 8 bytes, so
// that every header and head lies aligned when the stream was read to an aligned place. Integers are little-endian.
// The checksum (CRC-32C) covers header and head; bodies are checked by those who understand them.
// Version 1. A change of anything here raises kProtocolVersion, which the first frame of each side carries.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/status.hpp"

#include <cstdint>

namespace rideau::tcp {

constexpr std::uint32_t kMagic = 0x54445231;  // "1RDT" in memory
constexpr std::uint32_t kProtocolVersion = 1;

enum class FrameType : std::uint8_t {
  hello = 1,      // head: Hello; the first frame of each side, and only there
  message = 2,    // head and body of the sender
  push = 3,       // head: BulkHead; body: what goes into the region
  pull = 4,       // head: BulkHead; tag: names the answer
  pull_data = 5,  // tag; body: the next bytes of the answer
  pull_end = 6,   // tag; head: PullEnd
  bundle = 7,     // head: BundleHead; where both greetings have kHelloBundles
};

struct FrameHeader {
  std::uint32_t magic = kMagic;
  FrameType type = FrameType::message;
  std::uint8_t reserved_1[3] = {};
  std::uint32_t head_bytes = 0;
  std::uint32_t body_bytes = 0;
  std::uint64_t tag = 0;
  std::uint32_t reserved_2 = 0;
  std::uint32_t checksum = 0;  // of the 28 bytes before and of the head
};
static_assert(sizeof(FrameHeader) == 32);

enum HelloFlags : std::uint32_t {
  kHelloShows =
      1,  // two files came with the first byte: memory, and the table of what of it is lent (shown_memory.hpp)
  kHelloBundles = 2,  // a link may have several connections: up to so many as bits 8 to 15 say
};

struct Hello {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t head_bytes_max = 0;  // what the sender of this frame accepts
  std::uint32_t eager_bytes_max = 0;
  std::uint32_t flags = 0;
};
static_assert(sizeof(Hello) == 16);

constexpr std::uint32_t bundle_flags(std::uint32_t connections) noexcept {
  return connections < 2 ? 0 : kHelloBundles | connections << 8;
}
constexpr std::uint32_t connections_in(const Hello& hello) noexcept {
  return (hello.flags & kHelloBundles) != 0 ? (hello.flags >> 8) & 0xff : 1;
}

// Which connection of which link this is. The same of the first one, back: all of them are there.
struct BundleHead {
  std::uint64_t token[2] = {};  // random, of who connects
  std::uint32_t index = 0;
  std::uint32_t count = 0;
};
static_assert(sizeof(BundleHead) == 24);

// Names a place in a lent region. slot, generation and token stand in the RegionKey.
struct BulkHead {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint64_t token = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
static_assert(sizeof(BulkHead) == 32);

struct PullEnd {
  std::int32_t code = 0;  // Code::ok, not_found or invalid
  std::uint32_t reserved = 0;
};
static_assert(sizeof(PullEnd) == 8);

constexpr std::uint64_t padded(std::uint64_t bytes) noexcept { return (bytes + 7) & ~std::uint64_t{7}; }

std::uint32_t checksum_of(const FrameHeader& header, const IoVec* head, std::uint32_t head_parts) noexcept;

struct FrameLimits {
  std::uint32_t head_bytes_max;
  std::uint32_t eager_bytes_max;
  std::uint32_t bulk_bytes_max;
};

// Judges lengths and fields before anything is allocated for the frame. Null when the header is good, else what is
// wrong with it. `first`: no frame came before on this link.
const char* fault_of(const FrameHeader& header, const FrameLimits& limits, bool first) noexcept;

}  // namespace rideau::tcp
