// SPDX-License-Identifier: Apache-2.0
// What goes out on a link. Records are gathered in an open frame, which is posted when it is full or at the end of the
// turn: what was sent in one turn leaves together, and a lone message waits for nothing. Bytes of messages need a
// credit of the peer for each frame; other records do not.
#include "link.hpp"

#include "endpoint.hpp"
#include "rideau/driver/parts.hpp"
#include "transport.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rideau::rdma {
namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};
constexpr std::uint32_t kLeastRoom = 64;  // a frame with less is posted

}  // namespace

Submitted RdmaLink::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                         Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (state_ != State::open) return done.finish(kClosed);
  if (head_parts > kPartsMax || eager_parts > kPartsMax)
    return done.finish({Code::too_large, 0, "send: too many parts"});
  const std::uint64_t head_bytes = driver::total_size(head, head_parts);
  const std::uint64_t eager_bytes = driver::total_size(eager, eager_parts);
  if (head_bytes > head_bytes_max_) return done.finish({Code::too_large, 0, "send: head over the limit"});
  if (eager_bytes > eager_bytes_max_) return done.finish({Code::too_large, 0, "send: payload over the limit"});
  if (sends_.size() >= kSendsMax) return done.finish({Code::busy, 0, "too much is waiting on the link"});
  Send message;
  message.link = this;
  message.sizes[0] = static_cast<std::uint32_t>(head_bytes);
  message.sizes[1] = static_cast<std::uint32_t>(eager_bytes);
  message.head = head;
  message.head_parts = head_parts;
  message.eager = eager;
  message.eager_parts = eager_parts;
  message.bytes = sizeof message.sizes + head_bytes + eager_bytes;
  if (eager_bytes > 0) endpoint_.transport().host().count(Tally::copied_bytes, eager_bytes);
  if (sends_.empty() && feed(message)) return done.finish(kOk, head_bytes + eager_bytes);
  if (state_ != State::open) return done.finish(kClosed);
  auto* waiting = new Send(message);
  waiting->done = &done;
  done.plugin_slot[0] = static_cast<Pending*>(waiting);
  sends_.push_back(waiting);
  return Submitted::pending;
}

// Once the first bytes are in a frame the message goes out whole.
void RdmaLink::Send::cancel() noexcept {
  if (begun()) return;
  std::erase(link->sends_, this);
  link->complete(done, {Code::cancelled, 0, "send"}, 0);
  delete this;
}

void RdmaLink::add_control(RecordType type, const void* body, std::uint32_t body_bytes, const void* tail,
                           std::uint32_t tail_bytes) noexcept {
  const RecordHeader record{type, body_bytes + tail_bytes};
  const std::size_t at = control_.size();
  control_.resize(at + sizeof record + padded(record.bytes));
  std::memcpy(control_.data() + at, &record, sizeof record);
  if (body_bytes > 0) std::memcpy(control_.data() + at + sizeof record, body, body_bytes);
  if (tail_bytes > 0) std::memcpy(control_.data() + at + sizeof record + body_bytes, tail, tail_bytes);
  if (state_ == State::open) schedule_turn();
}

FrameBuffer* RdmaLink::open_frame() noexcept {
  if (open_ != nullptr) return open_;
  open_ = endpoint_.take_frame();
  if (open_ == nullptr) {
    fail({Code::busy, 0, "no memory for a frame"});
    return nullptr;
  }
  open_->bytes = sizeof(FrameHeader);
  open_flags_ = 0;
  return open_;
}

// Moves the records that wait into frames. False: the link has failed.
bool RdmaLink::stage_control() noexcept {
  std::size_t at = 0;
  while (at < control_.size()) {
    RecordHeader record;
    std::memcpy(&record, control_.data() + at, sizeof record);
    const auto bytes = static_cast<std::uint32_t>(sizeof record) + padded(record.bytes);
    if (open_ != nullptr && open_->bytes + bytes > kFrameBytes) post_open_frame();
    FrameBuffer* frame = open_frame();
    if (frame == nullptr) return false;
    std::memcpy(frame->data + frame->bytes, control_.data() + at, bytes);
    frame->bytes += bytes;
    at += bytes;
  }
  control_.clear();
  return true;
}

void RdmaLink::post_open_frame() noexcept {
  FrameBuffer* frame = std::exchange(open_, nullptr);
  if (frame == nullptr) return;
  auto* header = new (frame->data) FrameHeader;
  header->bytes = frame->bytes - static_cast<std::uint32_t>(sizeof *header);
  header->link = far_index_;
  header->nonce = far_nonce_;
  header->sequence = sent_frames_++;
  header->flags = open_flags_;
  seal(frame->data);
  unsent_.push_back(frame);
  if (unsent_.size() == 1) retry();
}

// Gives the frames that wait to the fabric, in order.
void RdmaLink::retry() noexcept {
  while (!unsent_.empty()) {
    const std::int64_t result = endpoint_.post(unsent_.front(), peer_);
    if (result == 0) {
      unsent_.pop_front();
      told_ns_ = endpoint_.transport().host().now_ns();
      continue;
    }
    if (result == -FI_EAGAIN) {
      endpoint_.blocked(*this);
      return;
    }
    for (FrameBuffer* frame : std::exchange(unsent_, {})) endpoint_.put_frame(frame);
    silent_ = true;
    fail(fabric_failure(result, "send to the peer"));
    return;
  }
  if (state_ == State::dead) schedule_turn();  // it may have been the last thing that it waited for
}

std::uint32_t RdmaLink::copy_some(Send& message, std::uint8_t* to, std::uint32_t room) noexcept {
  std::uint32_t copied = 0;
  while (copied < room && !message.whole()) {
    const std::uint8_t* from = nullptr;
    std::size_t size = 0;
    if (message.stage == 0) {
      from = reinterpret_cast<const std::uint8_t*>(message.sizes);
      size = sizeof message.sizes;
    } else {
      const IoVec* parts = message.stage == 1 ? message.head : message.eager;
      const std::uint32_t count = message.stage == 1 ? message.head_parts : message.eager_parts;
      if (message.part == count) {
        ++message.stage;
        message.part = 0;
        message.offset = 0;
        continue;
      }
      from = static_cast<const std::uint8_t*>(parts[message.part].base);
      size = parts[message.part].size;
    }
    const std::size_t take = std::min<std::size_t>(size - message.offset, room - copied);
    if (take > 0) std::memcpy(to + copied, from + message.offset, take);
    copied += static_cast<std::uint32_t>(take);
    message.at += take;
    message.offset += take;
    if (message.offset < size) break;
    message.offset = 0;
    if (message.stage == 0) {
      message.stage = 1;
    } else {
      ++message.part;
    }
  }
  return copied;
}

// Copies into frames; true when all of the message is there. What its keys name is described in records before it.
bool RdmaLink::feed(Send& message) noexcept {
  if (!stage_control()) return false;
  while (!message.whole()) {
    if (open_ != nullptr && kFrameBytes - open_->bytes < kLeastRoom) post_open_frame();
    if (state_ != State::open) return false;
    const bool has_credit = open_ != nullptr && (open_flags_ & kFrameTakesCredit) != 0;
    if (!has_credit && credits_ == 0) return false;
    FrameBuffer* frame = open_frame();
    if (frame == nullptr) return false;
    if (!has_credit) {
      --credits_;
      open_flags_ |= kFrameTakesCredit;
    }
    RecordHeader record{RecordType::stream, 0};
    std::uint8_t* at = frame->data + frame->bytes;
    record.bytes = copy_some(message, at + sizeof record, kFrameBytes - frame->bytes - sizeof record);
    std::memcpy(at, &record, sizeof record);
    std::memset(at + sizeof record + record.bytes, 0, padded(record.bytes) - record.bytes);
    frame->bytes += static_cast<std::uint32_t>(sizeof record) + padded(record.bytes);
  }
  schedule_turn();
  return true;
}

void RdmaLink::schedule_turn() noexcept {
  if (turn_.pending) return;
  turn_.pending = true;
  endpoint_.transport().host().complete(turn_, kOk, 0);
}

void RdmaLink::on_turn() noexcept {
  if (state_ == State::open) pump();
  if (state_ == State::dead) check_gone();
}

void RdmaLink::pump() noexcept {
  if (!endpoint_.open()) return;
  while (!sends_.empty()) {
    Send* message = sends_.front();
    if (!feed(*message)) break;
    sends_.pop_front();
    complete(message->done, kOk, message->bytes - sizeof message->sizes);
    delete message;
  }
  if (state_ != State::open) return;
  const std::uint32_t window = endpoint_.transport().config().window;
  if (owed_credits_ > 0 && (open_ != nullptr || !control_.empty() || owed_credits_ >= window / 2)) {
    const Credit credit{std::exchange(owed_credits_, 0), 0};
    add_control(RecordType::credit, &credit, sizeof credit);
  }
  if (stage_control()) post_open_frame();
}

}  // namespace rideau::rdma
