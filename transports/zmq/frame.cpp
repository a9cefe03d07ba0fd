// SPDX-License-Identifier: Apache-2.0
#include "frame.hpp"

#include "limits.hpp"

#include <bit>
#include <cstring>

#include <isa-l/crc.h>

namespace rideau::zeromq {

static_assert(std::endian::native == std::endian::little, "frames are written as they lie in memory");

namespace {

std::uint32_t checksum_of(const FrameHeader& header, const std::uint8_t* head) noexcept {
  // ISA-L takes the raw register; its pointer is not const although it only reads.
  auto sum = [](const void* data, std::size_t size, std::uint32_t before) {
    return crc32_iscsi(static_cast<unsigned char*>(const_cast<void*>(data)), static_cast<int>(size), before);
  };
  std::uint32_t state = sum(&header, sizeof header - sizeof header.checksum, ~0u);
  if (header.head_bytes > 0) state = sum(head, header.head_bytes, state);
  return ~state;
}

const char* fault_of(const FrameHeader& header, std::uint32_t head_bytes_max, std::uint32_t eager_bytes_max) noexcept {
  const std::uint32_t head = header.head_bytes;
  const std::uint32_t body = header.body_bytes;
  switch (header.type) {
    case FrameType::hello:
    case FrameType::welcome:
      return head == sizeof(Hello) && body == 0 ? nullptr : "greeting of a wrong size";
    case FrameType::message:
      if (head > head_bytes_max) return "message head over the limit";
      return body <= eager_bytes_max ? nullptr : "eager payload over the limit";
    case FrameType::push:
      return head == sizeof(BulkHead) && body <= kPieceBytes ? nullptr : "push of a wrong size";
    case FrameType::pull:
      return head == sizeof(BulkHead) && body == 0 ? nullptr : "pull of a wrong size";
    case FrameType::pull_data:
      return head == 0 && body > 0 && body <= kPieceBytes ? nullptr : "pull data of a wrong size";
    case FrameType::pull_end:
    case FrameType::bye:
      return head == sizeof(PullEnd) && body == 0 ? nullptr : "end of a wrong size";
    case FrameType::credit:
    case FrameType::probe:
      return head == 0 && body == 0 ? nullptr : "control frame of a wrong size";
  }
  return "unknown frame type";
}

}  // namespace

zmq::message_t make_frame(FrameType type, std::uint64_t tag, const IoVec* head, std::uint32_t head_parts,
                          std::uint32_t head_bytes, driver::PartCursor body, std::uint32_t body_bytes) {
  zmq::message_t message(sizeof(FrameHeader) + head_bytes + body_bytes);
  auto* at = message.data<std::uint8_t>();
  FrameHeader header;
  header.type = type;
  header.head_bytes = head_bytes;
  header.body_bytes = body_bytes;
  header.tag = tag;
  driver::PartCursor(head, head_parts).read(at + sizeof header, head_bytes);
  body.read(at + sizeof header + head_bytes, body_bytes);
  header.checksum = checksum_of(header, at + sizeof header);
  std::memcpy(at, &header, sizeof header);
  return message;
}

const char* read_frame(const zmq::message_t& message, std::uint32_t head_bytes_max, std::uint32_t eager_bytes_max,
                       FrameView* out) noexcept {
  if (message.size() < sizeof(FrameHeader)) return "shorter than a header";
  const auto* at = message.data<std::uint8_t>();
  FrameHeader& header = out->header;
  std::memcpy(&header, at, sizeof header);
  if (header.magic != kMagic) return "not a frame of this protocol";
  if (const char* fault = fault_of(header, head_bytes_max, eager_bytes_max); fault != nullptr) return fault;
  if (message.size() != sizeof header + std::uint64_t{header.head_bytes} + header.body_bytes) {
    return "frame of another size than its header says";
  }
  out->head = at + sizeof header;
  out->body = out->head + header.head_bytes;
  if (checksum_of(header, out->head) != header.checksum) return "checksum of a frame is wrong";
  return nullptr;
}

}  // namespace rideau::zeromq
