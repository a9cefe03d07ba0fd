// SPDX-License-Identifier: Apache-2.0
// What comes in on a link. Heads are copied to memory of their own, since ZeroMQ aligns nothing; payloads and bulk are
// copied from ZeroMQ's message to where they belong.
#include "link.hpp"
#include "listener.hpp"
#include "transport.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rideau::zeromq {

void ZmqLink::on_readable() noexcept {
  const State before = state_;
  // What comes behind the welcome is for a later turn: the caller must know the link first.
  for (std::uint32_t i = 0; i < kFramesPerTurn && state_ == before && state_ != State::dead; ++i) {
    zmq::message_t frame;
    bool extra = false;
    if (!own_socket_->receive(nullptr, &frame, &extra)) return;
    take(frame, extra);
  }
}

void ZmqLink::take(const zmq::message_t& message, bool extra) noexcept {
  const Config& config = transport_.config();
  FrameView frame;
  const char* fault =
      extra ? "a message of several parts" : read_frame(message, config.head_bytes, config.eager_bytes, &frame);
  if (fault != nullptr) {
    malformed(fault);
    return;
  }
  const FrameType type = frame.header.type;
  if (type == FrameType::bye) {
    const auto code = static_cast<Code>(frame.head_as<PullEnd>().code);
    fail({code == Code::refused || code == Code::corrupt ? code : Code::closed, 0, "the peer closed the link"}, false);
    return;
  }
  if (state_ == State::connecting) {
    if (type == FrameType::welcome) {
      take_welcome(frame);
    } else {
      malformed("the first frame is no greeting");
    }
    return;
  }
  const bool costs = type == FrameType::message || type == FrameType::push || type == FrameType::pull_data;
  const std::uint64_t cost = costs ? message.size() + frame_cost() : 0;
  held_ += cost;
  // A peer that is alone with a frame may send it whatever its size.
  if (held_ > config.window && held_ > cost + uncredited_ + config.window / 4) {
    malformed("more than the window has room for");
    return;
  }
  switch (type) {
    case FrameType::message:
      take_message(frame, cost);
      return;
    case FrameType::push:
      take_push(frame);
      break;
    case FrameType::pull:
      take_pull(frame);
      break;
    case FrameType::pull_data:
      take_pull_data(frame);
      break;
    case FrameType::pull_end:
      take_pull_end(frame);
      break;
    case FrameType::credit:
      if (frame.header.tag > outstanding_) {
        malformed("credit for what was not sent");
        return;
      }
      outstanding_ -= frame.header.tag;
      pump();
      break;
    case FrameType::probe:
      break;
    case FrameType::hello:
    case FrameType::welcome:
    case FrameType::bye:
      malformed("a second greeting");
      return;
  }
  if (state_ == State::open && costs) give_credit(cost);
}

void ZmqLink::take_welcome(const FrameView& frame) noexcept {
  const auto hello = frame.head_as<Hello>();
  if (hello.version != kProtocolVersion) {
    transport_.log(Level::warning, "%s speaks version %u, this is version %u", endpoint_.c_str(), hello.version,
                   kProtocolVersion);
    end_connect({Code::refused, 0, "the peer speaks another version of the protocol"});
    return;
  }
  accept(hello);
  *out_ = this;
  end_connect(kOk);
}

void ZmqLink::take_message(const FrameView& frame, std::uint64_t cost) noexcept {
  auto* loan = new Loan;
  const std::size_t size = frame.header.head_bytes;
  loan->cost = cost;
  loan->words.reset(new std::uint64_t[size / 8 + 1]);
  std::memcpy(loan->words.get(), frame.head, size);
  ++loans_;
  MessageLoan lent;
  lent.head = Bytes(static_cast<const void*>(loan->words.get()), size);
  lent.plugin_slot = loan;
  const std::uint64_t bytes = frame.header.body_bytes;
  const Sink sink = events_->on_head(*this, lent, bytes);
  if (bytes == 0) return;
  Status landed = kOk;
  if (state_ != State::open) {
    landed = {Code::closed, 0, "the link closed in a payload"};
  } else if (sink.part_count != 0 && driver::total_size(sink.parts, sink.part_count) < bytes) {
    landed = {Code::invalid, 0, "the sink is smaller than the payload"};
  } else if (sink.part_count != 0) {
    driver::PartCursor(sink.parts, sink.part_count).write(frame.body, bytes);
    transport_.host().count(Tally::copied_bytes, bytes);
  }
  events_->on_eager(*this, landed);
}

// Each piece names the whole push, which lands or does not.
void ZmqLink::take_push(const FrameView& frame) noexcept {
  const auto bulk = frame.head_as<BulkHead>();
  const std::uint64_t bytes = frame.header.body_bytes;
  const std::uint64_t whole_offset = frame.header.tag;
  if (bulk.offset < whole_offset || bulk.offset - whole_offset > bulk.size ||
      bytes > bulk.size - (bulk.offset - whole_offset)) {
    malformed("push of a piece that is not in it");
    return;
  }
  driver::LentRegion* region = nullptr;
  if (regions_.find(bulk.key, kAccessPush, whole_offset, bulk.size, &region) != Code::ok) return;
  region->at(bulk.offset).write(frame.body, bytes);
  transport_.host().count(Tally::copied_bytes, bytes);
}

void ZmqLink::take_pull(const FrameView& frame) noexcept {
  if (answers_ >= kPullsMax) {
    malformed("more pulls than are allowed");
    return;
  }
  const auto bulk = frame.head_as<BulkHead>();
  driver::LentRegion* region = nullptr;
  const Code found = regions_.find(bulk.key, kAccessPull, bulk.offset, bulk.size, &region);
  if (found != Code::ok || bulk.size == 0) {
    put(make_frame(FrameType::pull_end, frame.header.tag, PullEnd{static_cast<std::int32_t>(found), 0}));
    return;
  }
  ++answers_;
  Outgoing& answer = queue_.emplace_back();
  answer.kind = Kind::answer;
  answer.tag = frame.header.tag;
  answer.region = region;
  answer.body = region->at(bulk.offset);
  answer.left = answer.size = bulk.size;
  pump();
}

void ZmqLink::take_pull_data(const FrameView& frame) noexcept {
  PullSlot* slot = find_pull(frame.header.tag);
  const std::uint64_t bytes = frame.header.body_bytes;
  if (slot == nullptr || bytes > slot->size - slot->received) {
    malformed(slot == nullptr ? "data for a pull that nobody made" : "more data than the pull asked for");
    return;
  }
  slot->received += bytes;
  if (slot->done == nullptr) return;
  slot->local.write(frame.body, bytes);
  transport_.host().count(Tally::copied_bytes, bytes);
}

void ZmqLink::take_pull_end(const FrameView& frame) noexcept {
  PullSlot* slot = find_pull(frame.header.tag);
  if (slot == nullptr) {
    malformed("end of a pull that nobody made");
    return;
  }
  const auto code = static_cast<Code>(frame.head_as<PullEnd>().code);
  if (code == Code::ok && slot->received == slot->size) {
    complete(slot->done, kOk, slot->size);
  } else if (code == Code::not_found) {
    complete(slot->done, {Code::not_found, 0, "pull: the key reaches nothing"}, 0);
  } else if (code == Code::invalid) {
    complete(slot->done, {Code::invalid, 0, "pull: outside of the region, or access not granted"}, 0);
  } else {
    malformed("pull ended before all its data came");
    return;
  }
  free_pull(frame.header.tag);
}

// What ZeroMQ tells of the connection. Frames that came before its end are taken first.
void ZmqLink::Monitor::on_readable() noexcept {
  for (;;) {
    zmq::message_t event;
    zmq::message_t address;
    bool extra = false;
    if (!socket.receive(nullptr, &event, &extra)) return;
    if (event.size() < sizeof(std::uint16_t)) continue;
    std::uint16_t what = 0;
    std::memcpy(&what, event.data(), sizeof what);
    switch (what) {
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        link.connection_lost("the handshake failed: a wrong key, or only one of the two encrypts");
        return;
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        link.connection_lost("the peer does not allow the key of this node");
        return;
      case ZMQ_EVENT_DISCONNECTED:
        link.connection_lost("the connection ended");
        return;
      case ZMQ_EVENT_CLOSED:
        link.connection_lost("nobody listens there");
        return;
      default:
        break;
    }
  }
}

void ZmqLink::connection_lost(const std::string& how) noexcept {
  if (state_ == State::open || state_ == State::connecting) on_readable();
  if (state_ == State::connecting) {
    transport_.log(Level::warning, "cannot connect to %s: %s", endpoint_.c_str(), how.c_str());
    end_connect({Code::refused, 0, "connect: the peer is not there or refuses; the log says more"});
  } else {
    fail({Code::closed, 0, "the peer closed the link"}, false);
  }
}

}  // namespace rideau::zeromq
