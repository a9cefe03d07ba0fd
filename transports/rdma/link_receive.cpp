// SPDX-License-Identifier: Apache-2.0
// What comes in on a link. Records about the link itself are taken at once. Bytes of messages are taken in order; while
// the host keeps more heads than it may, the frames that carry them wait, and with them the credits of the peer.
#include "link.hpp"

#include "endpoint.hpp"
#include "transport.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace rideau::rdma {
namespace {

constexpr std::uint64_t kLoanOverhead = 64;  // of the allocator, about

template <class Body>
bool body_as(Bytes bytes, Body* out) noexcept {
  if (bytes.size != sizeof *out) return false;
  std::memcpy(out, bytes.data, sizeof *out);
  return true;
}

}  // namespace

bool RdmaLink::take_frame(FrameBuffer& frame) noexcept {
  FrameHeader header;
  std::memcpy(&header, frame.data, sizeof header);
  heard_ns_ = endpoint_.transport().host().now_ns();
  if (header.sequence != received_frames_++) {
    fail({Code::closed, 0, "frames of the peer were lost"});
    return false;
  }
  bool has_stream = false;
  bool good = true;
  walk_records(frame.data, [&](RecordType type, Bytes body) {
    if (type == RecordType::stream) {
      has_stream = true;
    } else {
      good = take_control(type, body);
    }
    return good;
  });
  if (!good) {
    malformed("a record that breaks the rules");
    return false;
  }
  if (!has_stream || state_ != State::open) return false;
  if ((header.flags & kFrameTakesCredit) == 0 || stalled_.size() >= endpoint_.transport().config().window) {
    malformed("more bytes of messages than the peer may send");
    return false;
  }
  frame.at = sizeof(FrameHeader);
  stalled_.push_back(&frame);
  if (!paused_) take_stream();
  return true;
}

// False: it breaks the rules.
bool RdmaLink::take_control(RecordType type, Bytes body) noexcept {
  switch (type) {
    case RecordType::welcome:
      take_welcome(body);
      return true;
    case RecordType::refuse:
      if (state_ != State::connecting) return false;
      silent_ = true;
      fail({Code::refused, 0, "connect: the peer does not want the link"});
      return true;
    case RecordType::describe: {
      Describe what;
      if (body.size < sizeof what) return false;
      std::memcpy(&what, body.data, sizeof what);
      return remote_.describe(what, Bytes(body.data + sizeof what, body.size - sizeof what));
    }
    case RecordType::revoke: {
      Revoke which;
      if (!body_as(body, &which)) return false;
      RemoteRegion* region = remote_.find(which);
      if (region == nullptr || region->revoked) return false;
      region->revoked = true;
      if (region->transfers == 0) release_region(which.slot, which.generation);
      return true;
    }
    case RecordType::released: {
      Revoke which;
      if (!body_as(body, &which)) return false;
      RdmaRegion* region = lent_.find(which.slot, which.generation);
      if (region == nullptr || region->reclaiming == nullptr) return false;
      finish_reclaim(*region);
      return true;
    }
    case RecordType::credit: {
      Credit credit;
      if (!body_as(body, &credit) || credit.frames > 1u << 20) return false;
      credits_ += credit.frames;
      if (!sends_.empty()) schedule_turn();
      return true;
    }
    case RecordType::ping:
      return true;
    case RecordType::bye:
      if (body.size != sizeof(Ending)) return false;
      peer_is_done();
      fail({Code::closed, 0, "the peer closed the link"});
      return true;
    case RecordType::hello:
    case RecordType::stream:
      break;
  }
  return false;
}

void RdmaLink::drop_stalled() noexcept {
  for (FrameBuffer* frame : std::exchange(stalled_, {})) endpoint_.repost(frame);
}

// Takes what it can of the frames that wait. Those that were taken whole are received into again.
void RdmaLink::take_stream() noexcept {
  while (!stalled_.empty()) {
    FrameBuffer* frame = stalled_.front();
    while (frame->at < frame->bytes) {
      RecordHeader record;
      std::memcpy(&record, frame->data + frame->at, sizeof record);
      if (record.type == RecordType::stream) {
        const std::uint8_t* bytes = frame->data + frame->at + sizeof record;
        const bool whole = take_bytes(Bytes(bytes, record.bytes));
        if (state_ != State::open || !whole) return;  // in the first case the frame went with the others
        record_taken_ = 0;
      }
      frame->at += static_cast<std::uint32_t>(sizeof record) + padded(record.bytes);
    }
    stalled_.pop_front();
    endpoint_.repost(frame);
    ++owed_credits_;
    if (owed_credits_ >= endpoint_.transport().config().window / 2) schedule_turn();
  }
}

// The bytes of one record, from record_taken_ on. False: paused, or the link has failed.
bool RdmaLink::take_bytes(Bytes bytes) noexcept {
  for (;;) {
    if (!advance()) return false;
    const std::size_t left = bytes.size - record_taken_;
    if (left == 0) return true;
    const std::uint8_t* from = bytes.data + record_taken_;
    const std::uint64_t head_end = sizeof sizes_ + sizes_[0];
    std::size_t take = 0;
    if (message_at_ < sizeof sizes_) {
      take = std::min<std::size_t>(left, sizeof sizes_ - message_at_);
      std::memcpy(reinterpret_cast<std::uint8_t*>(sizes_) + message_at_, from, take);
    } else if (message_at_ < head_end) {
      take = std::min<std::size_t>(left, head_end - message_at_);
      std::memcpy(head_ + (message_at_ - sizeof sizes_), from, take);
    } else {
      take = std::min<std::size_t>(left, head_end + sizes_[1] - message_at_);
      fill_sink(from, take);
    }
    message_at_ += take;
    record_taken_ += take;
  }
}

// What follows from the bytes that are there: room for a head, a head that is whole, the end of a message. False:
// paused, or the link has failed.
bool RdmaLink::advance() noexcept {
  if (message_at_ < sizeof sizes_) return true;
  const Config& config = endpoint_.transport().config();
  const std::uint64_t head_end = sizeof sizes_ + sizes_[0];
  if (head_ == nullptr && !in_eager_) {
    if (sizes_[0] > config.head_bytes || sizes_[1] > config.eager_bytes) {
      malformed("a message over the limits");
      return false;
    }
    if (loans_ > 0 && loan_bytes_ + sizes_[0] + kLoanOverhead > config.hold_bytes) {
      paused_ = true;
      return false;
    }
    head_ = static_cast<std::uint8_t*>(std::malloc(std::max<std::size_t>(sizes_[0], 1)));
    if (head_ == nullptr) {
      fail({Code::busy, 0, "no memory for a message"});
      return false;
    }
  }
  if (message_at_ < head_end) return true;
  if (!in_eager_) {
    MessageLoan loan;
    loan.head = Bytes(head_, sizes_[0]);
    loan.plugin_slot = std::exchange(head_, nullptr);
    ++loans_;
    loan_bytes_ += sizes_[0] + kLoanOverhead;
    in_eager_ = sizes_[1] > 0;
    const std::uint32_t eager_bytes = sizes_[1];
    if (!in_eager_) message_at_ = 0;
    sink_part_ = 0;
    sink_offset_ = 0;
    sink_ = events_->on_head(*this, loan, eager_bytes);
    if (state_ != State::open) return false;
    if (!in_eager_) return true;
    if (sink_.part_count > 0) endpoint_.transport().host().count(Tally::copied_bytes, eager_bytes);
  }
  if (message_at_ < head_end + sizes_[1]) return true;
  in_eager_ = false;
  message_at_ = 0;
  events_->on_eager(*this, kOk);
  return state_ == State::open;
}

void RdmaLink::fill_sink(const std::uint8_t* from, std::size_t bytes) noexcept {
  while (bytes > 0 && sink_part_ < sink_.part_count) {
    const IoVec& part = sink_.parts[sink_part_];
    const std::size_t take = std::min(bytes, part.size - sink_offset_);
    if (take > 0) std::memcpy(static_cast<std::uint8_t*>(part.base) + sink_offset_, from, take);
    from += take;
    bytes -= take;
    sink_offset_ += take;
    if (sink_offset_ == part.size) {
      ++sink_part_;
      sink_offset_ = 0;
    }
  }
}

void RdmaLink::give_back(MessageLoan loan) noexcept {
  loan_bytes_ -= loan.head.size + kLoanOverhead;
  --loans_;
  std::free(loan.plugin_slot);
  if (paused_ && state_ == State::open && !resume_.pending) {
    resume_.pending = true;
    endpoint_.transport().host().complete(resume_, kOk, 0);
  }
  if (state_ == State::dead) check_gone();
}

void RdmaLink::on_resume() noexcept {
  if (state_ == State::open) {
    paused_ = false;
    if (advance()) take_stream();
  }
  if (state_ == State::dead) check_gone();
}

}  // namespace rideau::rdma
