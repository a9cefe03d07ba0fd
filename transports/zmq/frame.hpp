// SPDX-License-Identifier: Apache-2.0
// The frames on a link, each one ZeroMQ message: a header of 32 bytes, a head, a body. Integers are little-endian; the
// checksum (CRC-32C) covers header and head. Version 1. A change of anything here raises kProtocolVersion.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/driver/parts.hpp"
#include "rideau/driver/regions.hpp"

#include <cstdint>

#include <zmq.hpp>

namespace rideau::zeromq {

constexpr std::uint32_t kMagic = 0x515a4452;  // "RDZQ" in memory
constexpr std::uint32_t kProtocolVersion = 1;

enum class FrameType : std::uint8_t {
  hello = 1,      // head: Hello; of who connects, first
  welcome = 2,    // head: Hello; the answer
  message = 3,    // head and body of the sender
  push = 4,       // head: BulkHead; body: what goes into the region
  pull = 5,       // head: BulkHead; tag: names the answer
  pull_data = 6,  // tag; body: the next bytes of the answer
  pull_end = 7,   // tag; head: PullEnd
  credit = 8,     // tag: bytes of the window that are free again
  probe = 9,      // nothing: whether the peer can be reached
  bye = 10,       // head: PullEnd with the reason; last
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

struct Hello {
  std::uint32_t version = kProtocolVersion;
  std::uint32_t head_bytes_max = 0;  // what the sender of this frame accepts
  std::uint32_t eager_bytes_max = 0;
  std::uint32_t frame_cost = 0;  // of its window, beside the bytes of a frame
  std::uint64_t window = 0;      // bytes and frames that may be on their way to it
};
static_assert(sizeof(Hello) == 24);

struct BulkHead {
  driver::KeyBytes key{};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
static_assert(sizeof(BulkHead) == 32);

struct PullEnd {
  std::int32_t code = 0;  // a Code
  std::uint32_t reserved = 0;
};
static_assert(sizeof(PullEnd) == 8);

// Gathers a frame into one message; the body is read from the cursor.
zmq::message_t make_frame(FrameType type, std::uint64_t tag, const IoVec* head, std::uint32_t head_parts,
                          std::uint32_t head_bytes, driver::PartCursor body, std::uint32_t body_bytes);
template <class Head>
zmq::message_t make_frame(FrameType type, std::uint64_t tag, const Head& head, driver::PartCursor body = {},
                          std::uint32_t body_bytes = 0) {
  const IoVec part{const_cast<Head*>(&head), sizeof head};
  return make_frame(type, tag, &part, 1, sizeof head, body, body_bytes);
}

struct FrameView {
  FrameHeader header{};
  const std::uint8_t* head = nullptr;  // at any alignment
  const std::uint8_t* body = nullptr;

  template <class Head>
  Head head_as() const noexcept {
    Head out;
    std::memcpy(static_cast<void*>(&out), head, sizeof out);
    return out;
  }
};

// Null when the frame is good, else what is wrong with it.
const char* read_frame(const zmq::message_t& message, std::uint32_t head_bytes_max, std::uint32_t eager_bytes_max,
                       FrameView* out) noexcept;

}  // namespace rideau::zeromq
