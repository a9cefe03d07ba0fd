// SPDX-License-Identifier: Apache-2.0
#include "frame.hpp"

#include "limits.hpp"

#include <bit>
#include <cstring>

#include <isa-l/crc.h>

namespace rideau::rdma {

static_assert(std::endian::native == std::endian::little, "frames are written as they lie in memory");

namespace {

constexpr std::size_t kSummed = sizeof(FrameHeader) - sizeof(FrameHeader::checksum);

std::uint32_t checksum_of(const std::uint8_t* frame, std::uint32_t record_bytes) noexcept {
  // ISA-L takes the raw register; its pointer is not const although it only reads.
  auto sum = [](const std::uint8_t* data, std::size_t size, std::uint32_t before) {
    return crc32_iscsi(const_cast<unsigned char*>(data), static_cast<int>(size), before);
  };
  std::uint32_t state = sum(frame, kSummed, ~0u);
  if (record_bytes > 0) state = sum(frame + sizeof(FrameHeader), record_bytes, state);
  return ~state;
}

}  // namespace

void seal(std::uint8_t* frame) noexcept {
  auto* header = reinterpret_cast<FrameHeader*>(frame);
  header->checksum = checksum_of(frame, header->bytes);
}

const char* fault_of(const std::uint8_t* frame, std::uint64_t bytes) noexcept {
  if (bytes < sizeof(FrameHeader) || bytes > kFrameBytes) return "a frame of a wrong size";
  FrameHeader header;
  std::memcpy(&header, frame, sizeof header);
  if (header.magic != kMagic) return "not a frame of this protocol";
  if (header.bytes != bytes - sizeof header) return "a truncated frame";
  if (header.checksum != checksum_of(frame, header.bytes)) return "a damaged frame";
  std::uint32_t left = header.bytes;
  const std::uint8_t* at = frame + sizeof header;
  while (left > 0) {
    RecordHeader record;
    if (left < sizeof record) return "a truncated record";
    std::memcpy(&record, at, sizeof record);
    left -= sizeof record;
    if (record.bytes > left || padded(record.bytes) > left) return "a record longer than its frame";
    left -= padded(record.bytes);
    at += sizeof record + padded(record.bytes);
  }
  return nullptr;
}

}  // namespace rideau::rdma
