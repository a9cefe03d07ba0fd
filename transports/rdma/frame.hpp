// SPDX-License-Identifier: Apache-2.0
// What travels in messages of the fabric: frames of a header and records. A frame fits in one posted receive. Integers
// are little-endian; records begin at multiples of 8 bytes. The checksum (CRC-32C) covers the frame.
// Version 1. A change of anything here raises kProtocolVersion, which both greetings carry.
#pragma once

#include "rideau/buffer.hpp"

#include <cstdint>

namespace rideau::rdma {

constexpr std::uint32_t kMagic = 0x41445231;  // "1RDA" in memory
constexpr std::uint32_t kProtocolVersion = 1;
constexpr std::uint32_t kNoLink = UINT32_MAX;  // of a hello, which is for the endpoint and no link yet

enum FrameFlags : std::uint32_t { kFrameTakesCredit = 1 };  // it carries bytes of messages

struct FrameHeader {
  std::uint32_t magic = kMagic;
  std::uint32_t bytes = 0;     // of the records behind
  std::uint32_t link = 0;      // index and nonce are those that the receiver gave to its end
  std::uint32_t sequence = 0;  // of this direction of the link, from 0
  std::uint64_t nonce = 0;
  std::uint32_t flags = 0;
  std::uint32_t checksum = 0;  // of the 28 bytes before and of the records
};
static_assert(sizeof(FrameHeader) == 32);

enum class RecordType : std::uint32_t {
  hello = 1,     // Hello and the address of the sender's endpoint
  welcome = 2,   // Hello
  refuse = 3,    // Ending; the link never was
  stream = 4,    // the next bytes of messages: sizes of head and payload (4 bytes each), head, payload, and so on
  describe = 5,  // Describe and its parts: memory that the sender lends
  revoke = 6,    // Revoke: the lender wants a region back
  released = 7,  // Revoke: no operation of the sender on that region is under way, and none will be
  credit = 8,    // Credit
  ping = 9,      // nothing
  bye = 10,      // Ending: the sender accesses nothing any more, and the link is over
};

struct RecordHeader {
  RecordType type = RecordType::ping;
  std::uint32_t bytes = 0;  // behind this header; padded to 8 with zeros
};
static_assert(sizeof(RecordHeader) == 8);

struct Hello {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t link = 0;  // of the sender's end
  std::uint64_t nonce = 0;
  std::uint32_t head_bytes_max = 0;  // what the sender of this accepts
  std::uint32_t eager_bytes_max = 0;
  std::uint32_t window = 0;      // frames with bytes of messages that may be under way to the sender of this
  std::uint32_t process = 0;     // on its machine; 0: it does not tell
  std::uint32_t name_bytes = 0;  // of the address that follows; 0 in a welcome
  std::uint32_t reserved = 0;
};
static_assert(sizeof(Hello) == 40);

struct Ending {
  std::int32_t code = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(Ending) == 8);

struct Describe {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint64_t token = 0;
  std::uint32_t access = 0;
  std::uint32_t parts = 0;  // RemotePart each, behind
  std::uint32_t last = 0;   // 1: the region is described whole
  std::uint32_t reserved = 0;
};
static_assert(sizeof(Describe) == 32);

struct RemotePart {
  std::uint64_t address = 0;  // what remote operations name: a virtual address, or an offset in the registration
  std::uint64_t key = 0;
  std::uint64_t bytes = 0;
};
static_assert(sizeof(RemotePart) == 24);

struct Revoke {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
};
static_assert(sizeof(Revoke) == 8);

struct Credit {
  std::uint32_t frames = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(Credit) == 8);

constexpr std::uint32_t padded(std::uint32_t bytes) noexcept { return (bytes + 7) & ~std::uint32_t{7}; }

// Fills the checksum of a frame that lies whole at `frame`.
void seal(std::uint8_t* frame) noexcept;
// Null when `bytes` received bytes are a frame whose records can be walked, else what is wrong with them.
const char* fault_of(const std::uint8_t* frame, std::uint64_t bytes) noexcept;

// Calls visit(type, bytes of the record) for each; the frame was judged by fault_of before. Ends when it answers false.
template <class Visit>
void walk_records(const std::uint8_t* frame, const Visit& visit) {
  const auto* header = reinterpret_cast<const FrameHeader*>(frame);
  const std::uint8_t* at = frame + sizeof(FrameHeader);
  const std::uint8_t* end = at + header->bytes;
  while (at < end) {
    const auto* record = reinterpret_cast<const RecordHeader*>(at);
    if (!visit(record->type, Bytes(at + sizeof(RecordHeader), record->bytes))) return;
    at += sizeof(RecordHeader) + padded(record->bytes);
  }
}

}  // namespace rideau::rdma
