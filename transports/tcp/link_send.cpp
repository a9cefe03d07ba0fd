// SPDX-License-Identifier: Apache-2.0
// What goes out on a link. Every frame is queued first; the queue is written at the end of the turn of the node's
// thread, in one system call for all that was queued in it. A turn ends before the thread sleeps, so a lone message
// does not wait for anything. Where a turn brings many messages, the first of them leave while it lasts: else the peer
// would have nothing to do meanwhile, and both would take turns instead of working side by side.
#include "link.hpp"

#include "bundle.hpp"
#include "limits.hpp"
#include "socket.hpp"
#include "transport.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::tcp {
namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};
constexpr Status kFull{Code::busy, 0, "too much is waiting on the link"};

std::uint64_t tag_of(std::uint32_t index, std::uint32_t generation) noexcept {
  return (static_cast<std::uint64_t>(generation) << 32) | index;
}

}  // namespace

void LentFrame::cancel() noexcept { link->cancel_frame(*this); }

void TcpLink::greet() noexcept {
  Hello hello;
  hello.head_bytes_max = transport_.config().head_bytes;
  hello.eager_bytes_max = transport_.config().eager_bytes;
  if (files_owed_) hello.flags |= kHelloShows;
  if (bundles()) hello.flags |= bundle_flags(transport_.config().connections);
  send_control(FrameType::hello, 0, &hello, sizeof hello);
}

bool TcpLink::bundles() const noexcept { return transport_.config().connections > 1 && !peer_.is_local; }

void TcpLink::send_bundle(const BundleHead& head) noexcept { send_control(FrameType::bundle, 0, &head, sizeof head); }

// Control frames are bounded by what they belong to (pulls), not by queue_bytes.
void TcpLink::send_control(FrameType type, std::uint64_t tag, const void* head, std::uint32_t head_bytes) noexcept {
  FrameHeader header;
  header.type = type;
  header.tag = tag;
  header.head_bytes = head_bytes;
  const IoVec part{const_cast<void*>(head), head_bytes};
  header.checksum = checksum_of(header, &part, 1);
  queue_.copy(header, &part, 1, nullptr, 0, sizeof header + padded(head_bytes));
  schedule_flush();
}

LentFrame* TcpLink::new_frame(Completion& done) noexcept {
  LentFrame* frame = transport_.take_frame();
  frame->link = this;
  frame->done = &done;
  done.plugin_slot[0] = static_cast<Pending*>(frame);
  return frame;
}

Submitted TcpLink::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                        Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (state_ != State::open || write_failed_) return done.finish(kClosed);
  if (head_parts > kPartsMax || eager_parts > kPartsMax)
    return done.finish({Code::too_large, 0, "send: too many parts"});
  const std::uint64_t head_bytes = total_size(head, head_parts);
  const std::uint64_t eager_bytes = total_size(eager, eager_parts);
  if (head_bytes > head_bytes_max_) return done.finish({Code::too_large, 0, "send: head over the limit"});
  if (eager_bytes > eager_bytes_max_) return done.finish({Code::too_large, 0, "send: payload over the limit"});
  FrameHeader header;
  header.type = FrameType::message;
  header.head_bytes = static_cast<std::uint32_t>(head_bytes);
  header.body_bytes = static_cast<std::uint32_t>(eager_bytes);
  if (bundle_ != nullptr) header.tag = bundle_->order();
  header.checksum = checksum_of(header, head, head_parts);
  const std::uint64_t total = sizeof header + padded(head_bytes) + padded(eager_bytes);
  if (total <= kCopyBytesMax && queue_.copied_bytes() + total <= transport_.config().queue_bytes) {
    queue_.copy(header, head, head_parts, eager, eager_parts, total);
    schedule_flush();
    write_early();
    return done.finish(kOk, head_bytes + eager_bytes);
  }
  if (queue_.frame_count() >= kFramesMax) return done.finish(kFull);
  LentFrame* frame = new_frame(done);
  frame->header = header;
  frame->head = PartCursor(head, head_parts);
  frame->body = PartCursor(eager, eager_parts);
  frame->value = head_bytes + eager_bytes;
  queue_.push(*frame);
  schedule_flush();
  return Submitted::pending;
}

Submitted TcpLink::push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                        Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (state_ != State::open || write_failed_) return done.finish(kClosed);
  if (parts > kPartsMax) return done.finish({Code::too_large, 0, "push: too many parts"});
  const std::uint64_t size = total_size(local, parts);
  if (size > kBulkBytesMax) return done.finish({Code::too_large, 0, "push: over the limit"});
  BulkHead bulk;
  if (!read_key(key, &bulk)) return done.finish(kOk, size);  // reaches nothing: the receiver would drop it
  bulk.offset = remote_offset;
  bulk.size = size;
  if (copy_shown(bulk, kAccessPush, local, parts)) return done.finish(kOk, size);
  FrameHeader header;
  header.type = FrameType::push;
  header.head_bytes = sizeof bulk;
  header.body_bytes = static_cast<std::uint32_t>(size);
  header.tag = ++pushes_made_;
  const IoVec part{&bulk, sizeof bulk};
  header.checksum = checksum_of(header, &part, 1);
  const std::uint64_t total = sizeof header + sizeof bulk + padded(size);
  if (total <= kCopyBytesMax && queue_.copied_bytes() + total <= transport_.config().queue_bytes) {
    queue_.copy(header, &part, 1, local, parts, total);
    push_completed_ = header.tag;
    schedule_flush();
    return done.finish(kOk, size);
  }
  if (queue_.frame_count() >= kFramesMax) return done.finish(kFull);
  LentFrame* frame = new_frame(done);
  frame->header = header;
  frame->bulk = bulk;
  frame->has_bulk = true;
  frame->body = PartCursor(local, parts);
  frame->value = size;
  queue_.push(*frame);
  schedule_flush();
  return Submitted::pending;
}

Submitted TcpLink::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                        Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (state_ != State::open || write_failed_) return done.finish(kClosed);
  if (parts > kPartsMax) return done.finish({Code::too_large, 0, "pull: too many parts"});
  const std::uint64_t size = total_size(local, parts);
  if (size > kBulkBytesMax) return done.finish({Code::too_large, 0, "pull: over the limit"});
  BulkHead bulk;
  if (!read_key(key, &bulk)) return done.finish({Code::not_found, 0, "pull: not a key of this transport"});
  bulk.offset = remote_offset;
  bulk.size = size;
  if (copy_shown(bulk, kAccessPull, local, parts)) return done.finish(kOk, size);
  if (free_pulls_.empty() && pulls_.size() >= kPullsMax)
    return done.finish({Code::busy, 0, "too many pulls on the link"});
  if (free_pulls_.empty()) {
    free_pulls_.push_back(static_cast<std::uint32_t>(pulls_.size()));
    pulls_.emplace_back();
  }
  const std::uint32_t index = free_pulls_.back();
  free_pulls_.pop_back();
  PullSlot& slot = pulls_[index];
  slot.link = this;
  slot.local = PartCursor(local, parts);
  slot.size = size;
  slot.received = 0;
  ++slot.generation;
  slot.done = &done;
  slot.taken = true;
  done.plugin_slot[0] = static_cast<Pending*>(&slot);
  send_control(FrameType::pull, tag_of(index, slot.generation), &bulk, sizeof bulk);
  return Submitted::pending;
}

TcpLink::PullSlot* TcpLink::find_pull(std::uint64_t tag) noexcept {
  const auto index = static_cast<std::uint32_t>(tag);
  if (index >= pulls_.size()) return nullptr;
  PullSlot& slot = pulls_[index];
  return slot.taken && slot.generation == static_cast<std::uint32_t>(tag >> 32) ? &slot : nullptr;
}

void TcpLink::free_pull(std::uint64_t tag) noexcept {
  const auto index = static_cast<std::uint32_t>(tag);
  pulls_[index].taken = false;
  free_pulls_.push_back(index);
}

// The caller's memory is free at once: what still comes for the pull is read to nowhere.
void TcpLink::PullSlot::cancel() noexcept {
  if (link->target_pull_ == this) {
    link->target_pull_ = nullptr;
    link->into_ = Into::nowhere;
  }
  link->complete(done, {Code::cancelled, 0, "pull"}, 0);
}

void TcpLink::cancel_frame(LentFrame& frame) noexcept {
  if (!queue_.remove(frame)) return;  // a part of it is on the wire: it goes out whole
  complete(frame.done, {Code::cancelled, 0, "send"}, 0);
  transport_.put_frame(&frame);
}

void TcpLink::answer_pull(const BulkHead& bulk, std::uint64_t tag) noexcept {
  if (answers_ >= kPullsMax) {
    malformed("more pulls than are allowed at a time");
    return;
  }
  TcpRegion* region = nullptr;
  const Code code = regions_.find(bulk, kAccessPull, &region);
  ++answers_;
  LentFrame* frame = transport_.take_frame();
  frame->link = this;
  frame->is_answer = true;
  frame->header.tag = tag;
  if (code != Code::ok || bulk.size == 0) {
    // A refusal waits in the queue as an answer does, so that both count against the same bound.
    frame->header.type = FrameType::pull_end;
    frame->header.head_bytes = sizeof(PullEnd);
    frame->trailer.end.code = static_cast<std::int32_t>(code);
    frame->refusal = IoVec{&frame->trailer.end, sizeof(PullEnd)};
    frame->head = PartCursor(&frame->refusal, 1);
    frame->header.checksum = checksum_of(frame->header, &frame->refusal, 1);
    queue_.push(*frame);
    schedule_flush();
    return;
  }
  ++region->answers;
  frame->region = region;
  frame->answer_offset = bulk.offset;
  frame->answer_left = bulk.size;
  queue_answer_piece(*frame);
}

void TcpLink::queue_answer_piece(LentFrame& frame) noexcept {
  const std::uint64_t piece = std::min<std::uint64_t>(frame.answer_left, kAnswerBytes);
  frame.header.type = FrameType::pull_data;
  frame.header.body_bytes = static_cast<std::uint32_t>(piece);
  frame.header.checksum = checksum_of(frame.header, nullptr, 0);
  frame.body = PartCursor(frame.region->parts.get(), frame.region->part_count);
  frame.body.skip(frame.answer_offset);
  frame.answer_offset += piece;
  frame.answer_left -= piece;
  if (frame.answer_left == 0) end_answer(frame, Code::ok);
  queue_.push(frame);
  schedule_flush();
}

// Writes the trailer that ends the answer behind the frame.
void TcpLink::end_answer(LentFrame& frame, Code code) noexcept {
  AnswerTrailer& trailer = frame.trailer;
  trailer.header = FrameHeader{};
  trailer.header.type = FrameType::pull_end;
  trailer.header.tag = frame.header.tag;
  trailer.header.head_bytes = sizeof trailer.end;
  trailer.end.code = static_cast<std::int32_t>(code);
  const IoVec part{&trailer.end, sizeof trailer.end};
  trailer.header.checksum = checksum_of(trailer.header, &part, 1);
  if (!frame.has_trailer) frame.total += sizeof trailer;
  frame.has_trailer = true;
}

void TcpLink::abandon_answers(TcpRegion& region) noexcept {
  for (QueueEntry* entry = queue_.first(); entry != nullptr; entry = entry->next) {
    if (entry->is_block) continue;
    auto& frame = static_cast<LentFrame&>(*entry);
    if (frame.region != &region) continue;
    frame.region = nullptr;
    frame.zeros = true;
    frame.answer_left = 0;
    // Once the trailer has begun to go out, the bytes before it were all read from the region: the answer is right.
    const std::uint64_t before_trailer = sizeof(FrameHeader) + padded(frame.header.body_bytes);
    if (frame.written <= before_trailer) end_answer(frame, Code::not_found);
  }
  region.answers = 0;
}

void TcpLink::on_written(LentFrame& frame) noexcept {
  if (frame.is_answer && frame.answer_left > 0) {
    queue_answer_piece(frame);
    return;
  }
  if (frame.is_answer) {
    --answers_;
    if (frame.region != nullptr) --frame.region->answers;
  }
  if (frame.has_bulk) push_completed_ = std::max(push_completed_, frame.header.tag);
  complete(frame.done, kOk, frame.value);
  transport_.put_frame(&frame);
}

void TcpLink::schedule_flush() noexcept {
  if (turn_.pending || blocked_ || state_ != State::open) return;
  turn_.pending = true;
  transport_.host().complete(turn_, kOk, 0);
}

void TcpLink::on_turn() noexcept {
  if (state_ == State::open) {
    flush();
    return;
  }
  TcpTransport& transport = transport_;
  check_gone();
  transport.check_stopped();
}

// One system call; what the socket does not take, and its failure, are left to the end of the turn. Not where a few
// messages fill the socket: small pieces would make the peer's kernel announce windows that are too small to be used.
void TcpLink::write_early() noexcept {
  if (queue_.copied_bytes() < kEarlyBytes || blocked_ || write_failed_) return;
  const std::int64_t send_buffer = transport_.config().socket.send_buffer;
  if (send_buffer != 0 && send_buffer < kEarlySocketBytes) return;
  IoVec parts[kGatherParts];
  std::uint64_t described = 0;
  const std::uint32_t count = queue_.gather(parts, kGatherParts, &described);
  const IoResult result = write_gathered(parts, count);
  if (result.error == 0) queue_.consume(result.bytes, *this);
}

IoResult TcpLink::write_gathered(const IoVec* parts, std::uint32_t count) noexcept {
  if (tls_ != nullptr) {
    const IoResult result = tls_->write(parts, count);
    transport_.host().count(Tally::system_calls, tls_->take_system_calls());
    transport_.host().count(Tally::copied_bytes, result.bytes);
    return result;
  }
  transport_.host().count(Tally::system_calls, 1);
  if (!files_owed_) return write_parts(fd_, parts, count);
  const int files[kDescriptorsSent] = {shown_->memory().descriptor(), shown_->table()};
  const IoResult result = write_with_descriptors(fd_, parts, count, files);
  if (result.bytes > 0) files_owed_ = false;
  return result;
}

void TcpLink::on_writable() noexcept {
  blocked_ = false;
  on_turn();
}

void TcpLink::flush() noexcept {
  if (blocked_ || write_failed_) return;
  write_some();
  if (write_failed_) {
    // What the peer sent before it closed is still to be read, and reading tells why it closed.
    end_pending();
    if (paused_) fail({Code::closed, 0, "the peer closed the link"});
    return;
  }
  if (!blocked_) {
    if (!queue_.empty()) schedule_flush();
    return;
  }
  writable_.pending = true;
  if (transport_.host().wait_fd(fd_, kWaitWritable, writable_) == Submitted::pending) return;
  writable_.pending = false;
  fail(writable_.status);
}

void TcpLink::write_some() noexcept {
  IoVec parts[kGatherParts];
  for (std::uint32_t i = 0; i < kWritesPerTurn && (!queue_.empty() || unsent()); ++i) {
    std::uint64_t described = 0;
    const std::uint32_t count = queue_.gather(parts, kGatherParts, &described);
    const IoResult result = write_gathered(parts, count);
    if (result.error == EAGAIN) {
      blocked_ = true;
      return;
    }
    if (result.error != 0) {
      write_failed_ = true;
      return;
    }
    queue_.consume(result.bytes, *this);
    if (result.bytes < described || unsent()) {
      blocked_ = true;
      return;
    }
  }
}

}  // namespace rideau::tcp
