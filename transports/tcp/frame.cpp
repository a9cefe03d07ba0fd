// SPDX-License-Identifier: Apache-2.0
#include "frame.hpp"

#include <bit>

#include <isa-l/crc.h>

namespace rideau::tcp {

static_assert(std::endian::native == std::endian::little, "frames are written as they lie in memory");

std::uint32_t checksum_of(const FrameHeader& header, const IoVec* head, std::uint32_t head_parts) noexcept {
  // ISA-L takes the raw register; its pointer is not const although it only reads.
  auto sum = [](const void* data, std::size_t size, std::uint32_t before) {
    return crc32_iscsi(static_cast<unsigned char*>(const_cast<void*>(data)), static_cast<int>(size), before);
  };
  std::uint32_t state = sum(&header, sizeof header - sizeof header.checksum, ~0u);
  for (std::uint32_t i = 0; i < head_parts; ++i) {
    if (head[i].size > 0) state = sum(head[i].base, head[i].size, state);
  }
  return ~state;
}

const char* fault_of(const FrameHeader& header, const FrameLimits& limits, bool first) noexcept {
  if (header.magic != kMagic) return "not a frame of this protocol";
  if (first != (header.type == FrameType::hello)) return first ? "the first frame is no greeting" : "a second greeting";
  const std::uint32_t head = header.head_bytes;
  const std::uint32_t body = header.body_bytes;
  switch (header.type) {
    case FrameType::hello:
      return head == sizeof(Hello) && body == 0 ? nullptr : "greeting of a wrong size";
    case FrameType::message:
      if (head > limits.head_bytes_max) return "message head over the limit";
      return body <= limits.eager_bytes_max ? nullptr : "eager payload over the limit";
    case FrameType::push:
      if (head != sizeof(BulkHead)) return "push with a head of a wrong size";
      return body <= limits.bulk_bytes_max ? nullptr : "push over the limit";
    case FrameType::pull:
      return head == sizeof(BulkHead) && body == 0 ? nullptr : "pull of a wrong size";
    case FrameType::pull_data:
      return head == 0 && body > 0 && body <= limits.bulk_bytes_max ? nullptr : "pull data of a wrong size";
    case FrameType::pull_end:
      return head == sizeof(PullEnd) && body == 0 ? nullptr : "pull end of a wrong size";
    case FrameType::bundle:
      return head == sizeof(BundleHead) && body == 0 ? nullptr : "name of a link of a wrong size";
  }
  return "unknown frame type";
}

}  // namespace rideau::tcp
