// SPDX-License-Identifier: Apache-2.0
#include "link.hpp"

#include "sockets.hpp"
#include "transport.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace minimal {

using namespace rideau;
using driver::LentRegion;
using driver::PartCursor;
using driver::total_size;

namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};
constexpr Status kBusy{Code::busy, 0, "too much is waiting on the link"};
constexpr std::size_t kReadBytes = 256 << 10;

}  // namespace

MinimalLink::MinimalLink(MinimalTransport& transport, int fd) : transport_(transport), fd_(fd) {}

MinimalLink::~MinimalLink() {
  if (fd_ >= 0) {
    transport_.host().forget_fd(fd_);
    close_socket(fd_);
  }
  for (Waiting* frame : waiting_) delete frame;
}

void MinimalLink::begin(LinkEvents* events) noexcept {
  events_ = events;
  if (state_ != State::open) return;
  if (events != nullptr) {
    wait_readable();
    return;
  }
  released_ = true;
  fail({Code::refused, 0, "nobody wants the link"});
}

// ---- What goes out.

Submitted MinimalLink::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                            Completion& done) noexcept {
  const std::uint64_t head_bytes = total_size(head, head_parts);
  const std::uint64_t eager_bytes = total_size(eager, eager_parts);
  if (head_parts > kPartsMax || eager_parts > kPartsMax || head_bytes > kHeadBytesMax || eager_bytes > kEagerBytesMax)
    return done.finish({Code::too_large, 0, "send: over the limits"});
  Waiting frame;
  frame.header.type = FrameType::message;
  frame.header.head_bytes = static_cast<std::uint32_t>(head_bytes);
  frame.header.body_bytes = static_cast<std::uint32_t>(eager_bytes);
  frame.head = PartCursor(head, head_parts);
  frame.body = PartCursor(eager, eager_parts);
  return submit(std::move(frame), done);
}

Submitted MinimalLink::push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                            Completion& done) noexcept {
  const std::uint64_t size = total_size(local, parts);
  if (parts > kPartsMax || size > kBulkBytesMax) return done.finish({Code::too_large, 0, "push: over the limits"});
  Waiting frame;
  frame.header.type = FrameType::push;
  frame.header.body_bytes = static_cast<std::uint32_t>(size);
  frame.header.offset = remote_offset;
  frame.body = PartCursor(local, parts);
  if (!driver::read_key(key, &frame.header.key)) return done.finish(state_ == State::open ? kOk : kClosed, size);
  return submit(std::move(frame), done);
}

Submitted MinimalLink::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                            Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (state_ != State::open) return done.finish(kClosed);
  const std::uint64_t size = total_size(local, parts);
  if (parts > kPartsMax || size > kBulkBytesMax) return done.finish({Code::too_large, 0, "pull: over the limits"});
  Waiting request;
  request.header.type = FrameType::pull;
  request.header.offset = remote_offset;
  request.header.size = size;
  request.header.tag = next_tag_++;
  if (!driver::read_key(key, &request.header.key)) return done.finish({Code::not_found, 0, "pull: no key of ours"});
  if (pulls_.size() >= kPullsMax) return done.finish(kBusy);
  Pull& pull = pulls_[request.header.tag];
  pull.link = this;
  pull.local = PartCursor(local, parts);
  pull.size = size;
  pull.done = &done;
  done.plugin_slot[0] = static_cast<Cancellable*>(&pull);
  copy(request);  // has no bytes, and there are at most kPullsMax
  schedule();
  return Submitted::pending;
}

// Copied at once while there is room, in order; otherwise the bytes stay lent.
Submitted MinimalLink::submit(Waiting frame, Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (state_ != State::open) return done.finish(kClosed);
  schedule();
  if (waiting_.empty() && out_.size() - written_ < kBufferBytes) {
    copy(frame);
    return done.finish(kOk, std::uint64_t{frame.header.head_bytes} + frame.header.body_bytes);
  }
  if (waiting_.size() >= kWaitingMax) return done.finish(kBusy);
  auto* kept = new Waiting(std::move(frame));
  kept->link = this;
  kept->done = &done;
  done.plugin_slot[0] = static_cast<Cancellable*>(kept);
  waiting_.push_back(kept);
  return Submitted::pending;
}

void MinimalLink::copy(Waiting& frame) noexcept {
  const FrameHeader& header = frame.header;
  const std::size_t at = out_.size();
  out_.resize(at + sizeof header + header.head_bytes + header.body_bytes);
  std::memcpy(out_.data() + at, &header, sizeof header);
  frame.head.read(out_.data() + at + sizeof header, header.head_bytes);
  frame.body.read(out_.data() + at + sizeof header + header.head_bytes, header.body_bytes);
  transport_.host().count(Tally::copied_bytes, header.body_bytes);
}

void MinimalLink::copy_waiting() noexcept {
  while (!waiting_.empty() && out_.size() - written_ < kBufferBytes) {
    Waiting* frame = waiting_.front();
    waiting_.pop_front();
    copy(*frame);
    if (frame->header.type == FrameType::answer) --answers_;
    complete(frame->done, kOk, std::uint64_t{frame->header.head_bytes} + frame->header.body_bytes);
    delete frame;
  }
}

void MinimalLink::Waiting::cancel() noexcept {
  MinimalLink& owner = *link;
  owner.waiting_.erase(std::find(owner.waiting_.begin(), owner.waiting_.end(), this));
  owner.complete(done, {Code::cancelled, 0, "cancelled"}, 0);
  delete this;
}

// What still comes for it is dropped.
void MinimalLink::Pull::cancel() noexcept { link->complete(done, {Code::cancelled, 0, "pull"}, 0); }

void MinimalLink::schedule() noexcept {
  if (turn_.pending || blocked_) return;
  turn_.pending = true;
  transport_.host().complete(turn_, kOk, 0);
}

// At the end of a turn: what was sent in it leaves together.
void MinimalLink::on_turn() noexcept {
  if (state_ == State::open) flush();
  if (state_ == State::open && !paused_ && !readable_.pending) {
    parse();
    if (state_ == State::open && !paused_) wait_readable();
  }
  check_gone();
}

void MinimalLink::on_writable() noexcept {
  blocked_ = false;
  if (state_ == State::open) flush();
  check_gone();
}

void MinimalLink::flush() noexcept {
  for (;;) {
    copy_waiting();
    if (written_ == out_.size()) break;
    std::size_t took = 0;
    const int error = write_some(fd_, out_.data() + written_, out_.size() - written_, &took);
    transport_.host().count(Tally::system_calls, 1);
    written_ += took;
    if (error == EAGAIN) {
      blocked_ = true;
      writable_.pending = true;
      if (transport_.host().wait_fd(fd_, kWaitWritable, writable_) == Submitted::pending) return;
      writable_.pending = false;
      fail(writable_.status);
      return;
    }
    if (error != 0) {
      fail({Code::closed, error, "the peer closed the link"});
      return;
    }
    if (written_ >= kBufferBytes) {
      out_.erase(out_.begin(), out_.begin() + static_cast<std::ptrdiff_t>(written_));
      written_ = 0;
    }
  }
  out_.clear();
  written_ = 0;
}

// ---- What comes in.

void MinimalLink::wait_readable() noexcept {
  readable_.pending = true;
  if (transport_.host().wait_fd(fd_, kWaitReadable, readable_) == Submitted::pending) return;
  readable_.pending = false;
  fail(readable_.status);
}

void MinimalLink::on_readable() noexcept {
  if (state_ == State::open) {
    const std::size_t at = in_.size();
    in_.resize(at + kReadBytes);
    std::size_t got = 0;
    const int error = read_some(fd_, in_.data() + at, kReadBytes, &got);
    transport_.host().count(Tally::system_calls, 1);
    in_.resize(at + got);
    if (error != 0 && error != EAGAIN) {
      fail({Code::closed, error, "read from the link"});
    } else if (error == 0 && got == 0) {
      fail({Code::closed, 0, "the peer closed the link"});
    } else {
      parse();
    }
    if (state_ == State::open && !paused_) wait_readable();
  }
  check_gone();
}

// Frames are taken when they are whole; lengths are judged before that many bytes are awaited.
void MinimalLink::parse() noexcept {
  paused_ = false;
  while (state_ == State::open && in_.size() - parsed_ >= sizeof(FrameHeader)) {
    FrameHeader header;
    std::memcpy(&header, in_.data() + parsed_, sizeof header);
    const bool bulk = header.type == FrameType::push || header.type == FrameType::answer;
    const bool known =
        header.magic == FrameHeader{}.magic && header.type >= FrameType::message && header.type <= FrameType::answer;
    if (!known || header.head_bytes > kHeadBytesMax || header.body_bytes > (bulk ? kBulkBytesMax : kEagerBytesMax)) {
      transport_.host().log(Level::warning, "minimal-transport: a malformed frame closed its link");
      fail({Code::corrupt, 0, "a malformed frame"});
      return;
    }
    const std::size_t size = sizeof header + header.head_bytes + header.body_bytes;
    if (in_.size() - parsed_ < size) break;
    if (header.type == FrameType::message && loans_ > 0 && loan_bytes_ + header.head_bytes > kHoldBytes) {
      paused_ = true;
      break;
    }
    const std::size_t at = parsed_;
    parsed_ += size;
    if (!take(header, in_.data() + at + sizeof header)) {
      fail({Code::corrupt, 0, "a frame that breaks the rules"});
      return;
    }
  }
  in_.erase(in_.begin(), in_.begin() + static_cast<std::ptrdiff_t>(parsed_));
  parsed_ = 0;
}

bool MinimalLink::take(const FrameHeader& header, const std::uint8_t* bytes) noexcept {
  switch (header.type) {
    case FrameType::message:
      take_message(header, bytes);
      return true;
    case FrameType::push: {
      LentRegion* region = nullptr;
      const Code code = regions_.find(header.key, kAccessPush, header.offset, header.body_bytes, &region);
      if (code == Code::ok) region->at(header.offset).write(bytes + header.head_bytes, header.body_bytes);
      return true;
    }
    case FrameType::pull:
      if (header.size > kBulkBytesMax || answers_ >= kPullsMax) return false;
      answer(header);
      return true;
    case FrameType::answer:
      return take_answer(header, bytes);
  }
  return false;
}

void MinimalLink::take_message(const FrameHeader& header, const std::uint8_t* bytes) noexcept {
  auto* head = static_cast<std::uint8_t*>(std::malloc(std::max<std::size_t>(header.head_bytes, 1)));
  if (head == nullptr) {
    fail({Code::busy, 0, "no memory for a message"});
    return;
  }
  std::memcpy(head, bytes, header.head_bytes);
  MessageLoan loan;
  loan.head = Bytes(head, header.head_bytes);
  loan.plugin_slot = head;
  ++loans_;
  loan_bytes_ += header.head_bytes;
  const Sink sink = events_->on_head(*this, loan, header.body_bytes);
  if (header.body_bytes == 0) return;
  PartCursor(sink.parts, sink.part_count).write(bytes + header.head_bytes, header.body_bytes);
  events_->on_eager(*this, kOk);
}

void MinimalLink::answer(const FrameHeader& request) noexcept {
  auto* frame = new Waiting;
  frame->link = this;
  frame->header.type = FrameType::answer;
  frame->header.tag = request.tag;
  LentRegion* region = nullptr;
  const Code code = regions_.find(request.key, kAccessPull, request.offset, request.size, &region);
  frame->header.code = static_cast<std::int64_t>(code);
  if (code == Code::ok) {
    frame->header.body_bytes = static_cast<std::uint32_t>(request.size);
    frame->body = region->at(request.offset);
    frame->region = region;
  }
  ++answers_;
  waiting_.push_back(frame);
  schedule();
}

bool MinimalLink::take_answer(const FrameHeader& header, const std::uint8_t* bytes) noexcept {
  const auto found = pulls_.find(header.tag);
  if (found == pulls_.end()) return false;
  Pull& pull = found->second;
  const Status status{static_cast<Code>(header.code), 0, "pull"};
  if (status.ok() && header.body_bytes != pull.size) return false;
  if (!status.ok() && status.code != Code::not_found && status.code != Code::invalid) return false;
  if (status.ok() && pull.done != nullptr) pull.local.write(bytes + header.head_bytes, header.body_bytes);
  complete(pull.done, status, status.ok() ? pull.size : 0);
  pulls_.erase(found);
  return true;
}

void MinimalLink::give_back(MessageLoan loan) noexcept {
  --loans_;
  loan_bytes_ -= loan.head.size;
  std::free(loan.plugin_slot);
  if (paused_ && state_ == State::open) {
    paused_ = false;
    if (!turn_.pending) {
      turn_.pending = true;
      transport_.host().complete(turn_, kOk, 0);
    }
  }
  if (state_ == State::dead) check_gone();
}

// ---- Memory of this side.

Status MinimalLink::lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                         RegionKey* key) noexcept {
  if (state_ != State::open) return kClosed;
  if ((access & (kAccessPull | kAccessPush)) == 0) return {Code::invalid, 0, "lend without access"};
  if (part_count > kPartsMax || total_size(parts, part_count) > kBulkBytesMax)
    return {Code::too_large, 0, "lend: over the limits"};
  LentRegion* region = regions_.add(parts, part_count, access, transport_.token(), key);
  if (region == nullptr) return {Code::busy, 0, "lend: too many regions"};
  *out = region;
  return kOk;
}

// Nobody but this thread reaches the memory, so it is free at once. An answer that waits says not_found instead.
Submitted MinimalLink::reclaim(Region& region, Completion& done) noexcept {
  auto& own = static_cast<LentRegion&>(region);
  for (Waiting* frame : waiting_) {
    if (frame->region != &own) continue;
    frame->region = nullptr;
    frame->header.body_bytes = 0;
    frame->header.code = static_cast<std::int64_t>(Code::not_found);
  }
  regions_.remove(own);
  return done.finish(kOk);
}

// ---- The end.

void MinimalLink::complete(Completion*& done, Status status, std::uint64_t value) noexcept {
  Completion* taken = std::exchange(done, nullptr);
  if (taken == nullptr) return;
  taken->plugin_slot[0] = nullptr;
  transport_.host().complete(*taken, status, value);
}

void MinimalLink::close() noexcept {
  if (state_ == State::open && !blocked_) flush();
  fail({Code::closed, 0, "closed by this side"});
}

// All that is pending completes here, queued before dead_, which tells the host.
void MinimalLink::fail(Status why) noexcept {
  if (state_ != State::open) return;
  state_ = State::dying;
  why_ = why;
  transport_.host().forget_fd(fd_);
  close_socket(std::exchange(fd_, -1));
  for (Waiting* frame : std::exchange(waiting_, {})) {
    complete(frame->done, kClosed, 0);
    delete frame;
  }
  for (auto& [tag, pull] : pulls_) complete(pull.done, kClosed, 0);
  dead_.pending = true;
  transport_.host().complete(dead_, kOk, 0);
}

void MinimalLink::on_dead() noexcept {
  state_ = State::dead;
  if (events_ != nullptr) {
    dead_.pending = true;  // the host may release the link inside
    events_->on_closed(*this, why_);
    dead_.pending = false;
  }
  check_gone();
}

void MinimalLink::release() noexcept {
  released_ = true;
  check_gone();
}

bool MinimalLink::quiet() const noexcept {
  return state_ == State::dead && loans_ == 0 && !turn_.pending && !writable_.pending && !readable_.pending &&
         !dead_.pending;
}

void MinimalLink::check_gone() noexcept {
  MinimalTransport& transport = transport_;
  if (released_ && quiet()) transport.remove(*this);
  transport.check_stopped();
}

}  // namespace minimal
