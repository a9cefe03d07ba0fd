// SPDX-License-Identifier: Apache-2.0
// The header of a frame on a TCP stream: what passes the judge is within the limits that memory is reserved by.
#include "tests/fuzz/fuzz.hpp"
#include "transports/tcp/frame.hpp"

using namespace rideau;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool first = (input.byte() & 1) != 0;
  const Bytes bytes = input.take(sizeof(tcp::FrameHeader));
  tcp::FrameHeader header;
  std::memcpy(&header, bytes.data, bytes.size);
  const tcp::FrameLimits limits{64 << 10, 16 << 10, 1 << 20};
  if (tcp::fault_of(header, limits, first) != nullptr) return 0;
  fuzz::require(header.magic == tcp::kMagic && header.head_bytes <= limits.head_bytes_max, "a head has its limit");
  const bool bulk = header.type == tcp::FrameType::push || header.type == tcp::FrameType::pull_data;
  fuzz::require(header.body_bytes <= (bulk ? limits.bulk_bytes_max : limits.eager_bytes_max), "a body has its limit");
  fuzz::require(first == (header.type == tcp::FrameType::hello), "a greeting comes first, and only there");
  return 0;
}
