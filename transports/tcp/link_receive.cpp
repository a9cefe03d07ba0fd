// SPDX-License-Identifier: Apache-2.0
// What comes in on a link. The socket is read in large pieces into a chunk, and frames are parsed where they lie. Of a
// body, what is in the chunk already is copied to where it belongs; the rest is read from the socket straight to there.
// While bulk bytes are on their way, little is read ahead of what is expected, so that few of them pass the chunk.
//
// Memory: a head that is lent keeps its chunk. While a link holds more than half of its budget, heads are lent as
// copies of their own size, so that a few loans cannot keep many chunks. Over the budget reading rests until a loan is
// given back.
#include "link.hpp"

#include "bundle.hpp"
#include "limits.hpp"
#include "socket.hpp"
#include "transport.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace rideau::tcp {
namespace {

// A chunk with less room than this at its end is not worth a system call.
constexpr std::size_t kLeastRoom = 4096;

template <class Head>
Head head_as(const std::uint8_t* bytes) noexcept {
  Head head;
  std::memcpy(&head, bytes, sizeof head);
  return head;
}

Status read_failure(int error) noexcept {
  const bool gone = error == ECONNRESET || error == EPIPE;
  return {gone ? Code::closed : Code::io_error, error, gone ? "the peer closed the link" : "read from the link"};
}

}  // namespace

bool TcpLink::over_budget(std::uint64_t more) const noexcept {
  return loans_ > 0 && chunk_bytes_ + more > transport_.config().hold_bytes;
}

Chunk* TcpLink::take_chunk(std::size_t capacity) noexcept {
  Chunk* chunk = transport_.chunks().take(capacity);
  if (chunk == nullptr) return nullptr;
  chunk->owner = this;
  chunk_bytes_ += chunk->capacity;
  return chunk;
}

void TcpLink::drop_chunk(Chunk* chunk) noexcept {
  if (--chunk->references > 0) return;
  chunk_bytes_ -= chunk->capacity;
  transport_.chunks().put(chunk);
}

// A link that waits keeps no memory.
void TcpLink::drop_idle_chunk() noexcept {
  if (chunk_ == nullptr || available() > 0 || chunk_->references > 1) return;
  drop_chunk(chunk_);
  chunk_ = nullptr;
  begin_ = end_ = 0;
}

void TcpLink::wait_readable() noexcept {
  if (readable_.pending) return;
  readable_.pending = true;
  if (unread()) {
    transport_.host().complete(readable_, kOk, 0);
    return;
  }
  if (transport_.host().wait_fd(fd_, kWaitReadable, readable_) == Submitted::pending) return;
  readable_.pending = false;
  fail(readable_.status);
}

void TcpLink::on_readable() noexcept {
  if (state_ == State::open && !paused_) receive();
  if (state_ == State::open && !paused_) wait_readable();
  if (state_ == State::open) return;
  TcpTransport& transport = transport_;
  check_gone();
  transport.check_stopped();
}

void TcpLink::on_resume() noexcept {
  if (state_ == State::open && paused_) {
    paused_ = false;
    parse();
    // When the wait is still pending from before, it brings the rest; not what has left the socket already.
    if (state_ == State::open && !paused_ && (!readable_.pending || unread())) {
      on_readable();
      return;
    }
  }
  if (state_ == State::open) return;
  TcpTransport& transport = transport_;
  check_gone();
  transport.check_stopped();
}

void TcpLink::receive() noexcept {
  IoVec parts[kScatterParts];
  for (std::uint32_t i = 0; i < kReadsPerTurn; ++i) {
    if (expect_ != Expect::body && !make_room()) return;
    std::uint64_t described = 0;
    const std::uint32_t count = describe_room(parts, kScatterParts, &described);
    const IoResult result = read_some(parts, count);
    if (result.error == EAGAIN) break;
    if (result.error == EPROTO && tls_ != nullptr) {
      transport_.log(Level::warning, "link with %s closed: %s", peer_.name.c_str(), tls_->failure_text().c_str());
      fail(tls_->failure());
      return;
    }
    if (result.error != 0) {
      fail(read_failure(result.error));
      return;
    }
    if (result.bytes == 0) {
      fail({Code::closed, 0, "the peer closed the link"});
      return;
    }
    took(result.bytes);
    parse();
    if (state_ != State::open || paused_) return;
    if (result.bytes < described) break;
  }
  drop_idle_chunk();
}

IoResult TcpLink::read_some(const IoVec* parts, std::uint32_t count) noexcept {
  if (tls_ != nullptr) {
    const IoResult result = tls_->read(parts, count);
    transport_.host().count(Tally::system_calls, tls_->take_system_calls());
    transport_.host().count(Tally::copied_bytes, result.bytes);
    if (unsent()) schedule_flush();  // reading can make it answer, with new keys for example
    return result;
  }
  transport_.host().count(Tally::system_calls, 1);
  const bool with_files = peer_.is_local && !greeted_;
  return with_files ? read_with_descriptors(fd_, parts, count, received_) : read_parts(fd_, parts, count);
}

// Room in the chunk for the header or head that is expected. False: paused or failed.
bool TcpLink::make_room() noexcept {
  std::size_t need = sizeof(FrameHeader);
  if (expect_ == Expect::head) need += padded(frame_.head_bytes);
  if (chunk_ != nullptr && available() == 0 && chunk_->references == 1) begin_ = end_ = 0;
  const std::size_t usual = transport_.chunks().usual_capacity();
  if (chunk_ != nullptr) {
    const std::size_t capacity = chunk_->capacity;
    const bool fits = begin_ + need <= capacity;
    const std::size_t wanted = std::max(kLeastRoom, need > available() ? need - available() : 0);
    if (fits && capacity - end_ >= std::min(wanted, capacity)) return true;
    if (chunk_->references == 1 && need <= capacity && (available() < capacity / 2 || capacity > usual)) {
      std::memmove(chunk_->data(), chunk_->data() + begin_, available());
      end_ = available();
      begin_ = 0;
      if (end_ < capacity) return true;
    }
  }
  const std::size_t capacity = std::max(usual, need);
  if (over_budget(capacity)) {
    paused_ = true;
    return false;
  }
  Chunk* fresh = take_chunk(capacity);
  if (fresh == nullptr) {
    fail({Code::busy, ENOMEM, "no memory to receive"});
    return false;
  }
  const std::size_t kept = available();
  if (kept > 0) std::memcpy(fresh->data(), chunk_->data() + begin_, kept);
  if (chunk_ != nullptr) drop_chunk(chunk_);
  chunk_ = fresh;
  begin_ = 0;
  end_ = kept;
  return true;
}

// Whether the peer has bytes to send for which memory lies ready.
bool TcpLink::bulk_expected() const noexcept {
  return pulls_.size() != free_pulls_.size() || regions_.push_count() != 0;
}

// Where the next bytes of the stream go: the rest of a body to its place, what follows to the chunk.
std::uint32_t TcpLink::describe_room(IoVec* out, std::uint32_t capacity, std::uint64_t* described) noexcept {
  std::uint32_t count = 0;
  *described = 0;
  if (expect_ == Expect::body) {
    const MutableBytes drain = transport_.drain();
    if (into_ == Into::nowhere) {
      while (*described < body_left_ && count < capacity - 2) {
        const std::size_t take = std::min<std::uint64_t>(body_left_ - *described, drain.size);
        out[count++] = {drain.data, take};
        *described += take;
      }
    } else {
      count = target_.describe(out, capacity - 2, body_left_, described);
    }
    if (*described < body_left_) return count;
    if (pad_left_ > 0) out[count++] = {pad_, pad_left_};
    *described += pad_left_;
  }
  add_tail(out, &count, described);
  return count;
}

void TcpLink::add_tail(IoVec* out, std::uint32_t* count, std::uint64_t* described) noexcept {
  if (expect_ == Expect::body) {
    // The chunk is empty here. What follows the body begins with a header, at a place of its alignment.
    if (chunk_ == nullptr) {
      chunk_ = take_chunk(0);
      begin_ = end_ = 0;
    }
    if (chunk_ == nullptr) return;
    begin_ = end_ = chunk_->references == 1 ? 0 : padded(end_);
    if (end_ >= chunk_->capacity) return;
  }
  std::size_t room = chunk_->capacity - end_;
  if (bulk_expected()) {
    std::size_t wanted = kBulkReadAhead;
    if (expect_ == Expect::head) wanted += sizeof(FrameHeader) + padded(frame_.head_bytes);
    room = std::min(room, wanted);
  }
  out[(*count)++] = {chunk_->data() + end_, room};
  *described += room;
}

// Accounts for bytes that were read, in the order of describe_room.
void TcpLink::took(std::uint64_t bytes) noexcept {
  if (expect_ == Expect::body) {
    const std::uint64_t body = std::min(bytes, body_left_);
    if (into_ != Into::nowhere) target_.skip(body);
    body_left_ -= body;
    bytes -= body;
    const std::uint64_t pad = std::min<std::uint64_t>(bytes, pad_left_);
    pad_left_ -= static_cast<std::uint32_t>(pad);
    bytes -= pad;
  }
  end_ += bytes;
}

void TcpLink::parse() noexcept {
  while (state_ == State::open && !paused_) {
    bool progress = false;
    switch (expect_) {
      case Expect::header:
        progress = parse_header();
        break;
      case Expect::head:
        progress = parse_head();
        break;
      case Expect::body:
        progress = parse_body();
        break;
    }
    if (!progress) return;
  }
}

bool TcpLink::parse_header() noexcept {
  if (!greeted_ && tls_ == nullptr && begins_tls(chunk_->data() + begin_, available())) {
    const char* why = "the peer speaks TLS: certificate, key and authority are needed on both sides, or on none";
    transport_.log_refusal("link with %s closed: %s", peer_.name.c_str(), why);
    fail({Code::refused, 0, why});
    return false;
  }
  if (available() < sizeof(FrameHeader)) return false;
  std::memcpy(&frame_, chunk_->data() + begin_, sizeof frame_);
  const FrameLimits limits{transport_.config().head_bytes, transport_.config().eager_bytes, kBulkBytesMax};
  if (const char* fault = fault_of(frame_, limits, !greeted_); fault != nullptr) {
    malformed(fault);
    return false;
  }
  expect_ = Expect::head;
  return true;
}

bool TcpLink::parse_head() noexcept {
  const std::size_t need = sizeof(FrameHeader) + padded(frame_.head_bytes);
  if (available() < need) return false;
  const std::uint8_t* head = chunk_->data() + begin_ + sizeof(FrameHeader);
  const IoVec part{const_cast<std::uint8_t*>(head), frame_.head_bytes};
  if (checksum_of(frame_, &part, 1) != frame_.checksum) {
    malformed("checksum of a frame is wrong");
    return false;
  }
  const bool names = frame_.type == FrameType::hello || frame_.type == FrameType::bundle;
  if (events_ == nullptr && !names) {
    malformed("a frame before it is known which link this is");
    return false;
  }
  if (frame_.type == FrameType::message) {
    if (bundle_ == nullptr) return take_message(head);
    if (!bundle_->takes_messages(*this)) {
      malformed("a message on a connection that carries none");
      return false;
    }
    paused_ = !bundle_->has_landed(frame_.tag);
    return !paused_ && take_message(head);
  }
  begin_ += need;
  expect_ = Expect::header;
  switch (frame_.type) {
    case FrameType::hello:
      take_hello(head);
      break;
    case FrameType::push:
      take_push(head);
      break;
    case FrameType::pull:
      answer_pull(head_as<BulkHead>(head), frame_.tag);
      break;
    case FrameType::pull_data:
      take_pull_data();
      break;
    case FrameType::pull_end:
      take_pull_end(head);
      break;
    case FrameType::bundle:
      take_bundle(head);
      break;
    case FrameType::message:
      break;
  }
  return true;
}

bool TcpLink::take_message(const std::uint8_t* head) noexcept {
  const std::size_t size = frame_.head_bytes;
  Chunk* holder = chunk_;
  if (chunk_bytes_ > transport_.config().hold_bytes / 2) {
    const std::size_t capacity = std::max<std::size_t>(padded(size), 8);
    if (over_budget(capacity)) {
      paused_ = true;
      return false;
    }
    holder = take_chunk(capacity);
    if (holder == nullptr) {
      fail({Code::busy, ENOMEM, "no memory to receive"});
      return false;
    }
    if (size > 0) std::memcpy(holder->data(), head, size);
    head = holder->data();
  } else {
    ++holder->references;
  }
  begin_ += sizeof(FrameHeader) + padded(size);
  expect_ = Expect::header;
  ++loans_;
  MessageLoan loan;
  loan.head = Bytes(head, size);
  loan.plugin_slot = holder;
  const std::uint64_t eager = frame_.body_bytes;
  in_eager_ = eager > 0;
  const Sink sink = events_->on_head(*this, loan, eager);
  if (state_ != State::open || eager == 0) return true;
  const bool discard = sink.part_count == 0;
  const bool fits = total_size(sink.parts, sink.part_count) >= eager;
  eager_status_ = discard || fits ? kOk : Status{Code::invalid, 0, "the sink is smaller than the payload"};
  begin_body(discard || !fits ? Into::nowhere : Into::sink, PartCursor(sink.parts, sink.part_count));
  return true;
}

void TcpLink::take_hello(const std::uint8_t* head) noexcept {
  const auto hello = head_as<Hello>(head);
  if (hello.version != kProtocolVersion) {
    transport_.log(Level::warning, "link with %s closed: the peer speaks version %u, this is version %u",
                   peer_.name.c_str(), hello.version, kProtocolVersion);
    fail({Code::refused, 0, "the peer speaks another version of the protocol"});
    return;
  }
  greeted_ = true;
  head_bytes_max_ = std::min(head_bytes_max_, hello.head_bytes_max);
  eager_bytes_max_ = std::min(eager_bytes_max_, hello.eager_bytes_max);
  take_memory(hello.flags);
  if (bundle_ != nullptr) {
    bundle_->on_greeting(*this, hello);
  } else if (listener_ != nullptr && connections_in(hello) < 2) {
    events_ = std::exchange(listener_, nullptr)->on_link(*this);
    if (events_ != nullptr) return;
    released_ = true;
    fail({Code::refused, 0, "nobody wants the link"});
  }
}

void TcpLink::take_bundle(const std::uint8_t* head) noexcept {
  const auto name = head_as<BundleHead>(head);
  const bool known = listener_ == nullptr ? bundle_ != nullptr && name.index == 0 && bundle_->take_answer()
                                          : transport_.join_bundle(*this, name, *listener_);
  if (!known) malformed("a connection of a link that is not there");
}

void TcpLink::take_push(const std::uint8_t* head) noexcept {
  const auto bulk = head_as<BulkHead>(head);
  if (bulk.size != frame_.body_bytes) {
    malformed("push of a size that is not its body's");
    return;
  }
  TcpRegion* region = nullptr;
  if (regions_.find(bulk, kAccessPush, &region) != Code::ok) {
    begin_body(Into::nowhere, {});
    return;
  }
  PartCursor target(region->parts.get(), region->part_count);
  target.skip(bulk.offset);
  target_region_ = region;
  begin_body(Into::region, target);
}

void TcpLink::take_pull_data() noexcept {
  PullSlot* slot = find_pull(frame_.tag);
  if (slot == nullptr || frame_.body_bytes > slot->size - slot->received) {
    malformed(slot == nullptr ? "data for a pull that nobody made" : "more data than the pull asked for");
    return;
  }
  slot->received += frame_.body_bytes;
  if (slot->done == nullptr) {
    begin_body(Into::nowhere, {});
    return;
  }
  target_pull_ = slot;
  begin_body(Into::pull, slot->local);
}

void TcpLink::take_pull_end(const std::uint8_t* head) noexcept {
  PullSlot* slot = find_pull(frame_.tag);
  if (slot == nullptr) {
    malformed("end of a pull that nobody made");
    return;
  }
  const auto code = static_cast<Code>(head_as<PullEnd>(head).code);
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
  free_pull(frame_.tag);
}

void TcpLink::begin_body(Into into, PartCursor target) noexcept {
  into_ = into;
  target_ = target;
  body_left_ = frame_.body_bytes;
  pad_left_ = static_cast<std::uint32_t>(padded(frame_.body_bytes) - frame_.body_bytes);
  expect_ = Expect::body;
}

bool TcpLink::parse_body() noexcept {
  const std::uint64_t body = std::min<std::uint64_t>(body_left_, available());
  if (body > 0) {
    if (into_ != Into::nowhere) {
      target_.write(chunk_->data() + begin_, body);
      transport_.host().count(Tally::copied_bytes, body);
    }
    begin_ += body;
    body_left_ -= body;
  }
  const std::uint64_t pad = std::min<std::uint64_t>(pad_left_, body_left_ == 0 ? available() : 0);
  begin_ += pad;
  pad_left_ -= static_cast<std::uint32_t>(pad);
  if (body_left_ > 0 || pad_left_ > 0) return false;
  body_done();
  return true;
}

void TcpLink::body_done() noexcept {
  expect_ = Expect::header;
  if (into_ == Into::pull) target_pull_->local = target_;
  target_pull_ = nullptr;
  target_region_ = nullptr;
  into_ = Into::nowhere;
  if (frame_.type == FrameType::push) {
    push_landed_ = frame_.tag;
    if (bundle_ != nullptr) bundle_->on_landed();
  }
  if (frame_.type != FrameType::message) return;
  in_eager_ = false;
  events_->on_eager(*this, eager_status_);
}

}  // namespace rideau::tcp
