// SPDX-License-Identifier: Apache-2.0
// One message of a ZeroMQ peer: as it comes, or with magic, sizes and checksum made right, which a fuzzer would hardly
// ever find. What is accepted is within its limits and memory, and is the same when it is made anew.
#include "tests/fuzz/fuzz.hpp"
#include "transports/zmq/frame.hpp"
#include "transports/zmq/limits.hpp"

#include <zmq.hpp>

using namespace rideau;

namespace {

constexpr std::uint32_t kHeadMost = 2000;
constexpr std::uint32_t kEagerMost = 1000;

driver::PartCursor whole(IoVec& part) { return driver::PartCursor(&part, 1); }

zmq::message_t anew(const zeromq::FrameView& frame) {
  const IoVec head{const_cast<std::uint8_t*>(frame.head), frame.header.head_bytes};
  IoVec body{const_cast<std::uint8_t*>(frame.body), frame.header.body_bytes};
  return zeromq::make_frame(frame.header.type, frame.header.tag, &head, 1, frame.header.head_bytes, whole(body),
                            frame.header.body_bytes);
}

// Of a type, a tag, and how much of the rest is head.
zmq::message_t made(fuzz::Input& input) {
  const auto type = static_cast<zeromq::FrameType>(input.byte());
  const std::uint64_t tag = input.byte();
  const Bytes head = input.take(input.byte() * 16u);
  const Bytes body = input.rest();
  const IoVec head_part{const_cast<std::uint8_t*>(head.data), head.size};
  IoVec body_part{const_cast<std::uint8_t*>(body.data), body.size};
  return zeromq::make_frame(type, tag, &head_part, 1, static_cast<std::uint32_t>(head.size), whole(body_part),
                            static_cast<std::uint32_t>(body.size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool is_made = (input.byte() & 1) != 0;
  const Bytes raw = is_made ? Bytes{} : input.rest();
  const zmq::message_t message = is_made ? made(input) : zmq::message_t(raw.data, raw.size);
  zeromq::FrameView frame;
  if (zeromq::read_frame(message, kHeadMost, kEagerMost, &frame) != nullptr) return 0;
  const zeromq::FrameHeader& header = frame.header;
  const auto* begin = static_cast<const std::uint8_t*>(message.data());
  const bool bulk = header.type == zeromq::FrameType::push || header.type == zeromq::FrameType::pull_data;
  fuzz::require(header.body_bytes <= (bulk ? zeromq::kPieceBytes : kEagerMost), "a body has its limit");
  fuzz::require(header.head_bytes <= kHeadMost, "a head has its limit");
  fuzz::require(frame.head == begin + sizeof header && frame.body == frame.head + header.head_bytes &&
                    frame.body + header.body_bytes == begin + message.size(),
                "head and body lie in the message");
  // Whoever takes a frame takes its head as what the type says.
  switch (header.type) {
    case zeromq::FrameType::hello:
    case zeromq::FrameType::welcome:
      static_cast<void>(frame.head_as<zeromq::Hello>());
      break;
    case zeromq::FrameType::push:
    case zeromq::FrameType::pull:
      static_cast<void>(frame.head_as<zeromq::BulkHead>());
      break;
    case zeromq::FrameType::pull_end:
    case zeromq::FrameType::bye:
      static_cast<void>(frame.head_as<zeromq::PullEnd>());
      break;
    case zeromq::FrameType::message:
    case zeromq::FrameType::pull_data:
    case zeromq::FrameType::credit:
    case zeromq::FrameType::probe:
      break;
  }
  const zmq::message_t again = anew(frame);
  zeromq::FrameView second;
  fuzz::require(zeromq::read_frame(again, kHeadMost, kEagerMost, &second) == nullptr, "what is made anew is accepted");
  fuzz::require(second.header.type == header.type && second.header.tag == header.tag &&
                    again.size() == message.size() &&
                    std::memcmp(second.head, frame.head, message.size() - sizeof header) == 0,
                "and is the same");
  return 0;
}
