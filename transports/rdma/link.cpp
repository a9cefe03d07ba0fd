// SPDX-License-Identifier: Apache-2.0
// The life of a link. It is connecting until the peer has answered, open, draining while its last transfers end, dying
// until its events have heard of the end, then dead; it stays until the host has released it and nothing of it pends.
//
// Memory that this side lent may be reached until the peer has said that it lets go (released, bye), or until the
// endpoint was closed. A link that died in silence waits for one of the two: reclaim() completes after it.
#include "link.hpp"

#include "endpoint.hpp"
#include "transport.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <unistd.h>

namespace rideau::rdma {
namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};

}  // namespace

RdmaLink::RdmaLink(Endpoint& endpoint, Peer& peer, std::uint32_t index, std::uint64_t nonce)
    : endpoint_(endpoint), peer_(peer), index_(index), nonce_(nonce) {
  heard_ns_ = told_ns_ = endpoint.transport().host().now_ns();
}

RdmaLink::~RdmaLink() {
  for (Send* message : sends_) delete message;
  for (Transfer* transfer : transfers_) delete transfer;
  std::free(head_);
}

fi_addr_t RdmaLink::fabric_address() const noexcept { return peer_.address; }

Hello RdmaLink::hello_of_ours() noexcept {
  const Config& config = endpoint_.transport().config();
  Hello hello;
  hello.link = index_;
  hello.nonce = nonce_;
  hello.head_bytes_max = config.head_bytes;
  hello.eager_bytes_max = config.eager_bytes;
  hello.window = config.window;
  if (endpoint_.fabric().is_shared_memory()) hello.process = static_cast<std::uint32_t>(::getpid());
  return hello;
}

void RdmaLink::greet(LinkEvents& events, Link** out, Completion& done) noexcept {
  RdmaTransport& transport = endpoint_.transport();
  events_ = &events;
  connect_out_ = out;
  connect_done_ = &done;
  done.plugin_slot[0] = static_cast<Pending*>(this);
  connect_until_ns_ = transport.host().now_ns() + transport.config().connect_timeout_ns;
  if (done.deadline_ns != 0) connect_until_ns_ = std::min(connect_until_ns_, done.deadline_ns);
  FrameBuffer* frame = endpoint_.take_frame();
  if (frame == nullptr) {
    fail({Code::busy, 0, "connect: no memory"});
    return;
  }
  Hello hello = hello_of_ours();
  const Bytes name = endpoint_.fabric().name();
  hello.name_bytes = static_cast<std::uint32_t>(name.size);
  auto* header = new (frame->data) FrameHeader;
  header->link = kNoLink;
  const RecordHeader record{RecordType::hello, static_cast<std::uint32_t>(sizeof hello + name.size)};
  header->bytes = sizeof record + padded(record.bytes);
  std::uint8_t* to = frame->data + sizeof *header;
  std::memset(to, 0, header->bytes);
  std::memcpy(to, &record, sizeof record);
  std::memcpy(to + sizeof record, &hello, sizeof hello);
  std::memcpy(to + sizeof record + sizeof hello, name.data, name.size);
  frame->bytes = sizeof *header + header->bytes;
  seal(frame->data);
  unsent_.push_back(frame);
  retry();
}

void RdmaLink::cancel() noexcept {
  if (state_ != State::connecting) return;
  silent_ = true;
  fail({Code::cancelled, 0, "connect"});
}

void RdmaLink::take_hello(const Hello& hello) noexcept {
  const Config& config = endpoint_.transport().config();
  far_index_ = hello.link;
  far_nonce_ = hello.nonce;
  head_bytes_max_ = std::min(config.head_bytes, hello.head_bytes_max);
  eager_bytes_max_ = std::min(config.eager_bytes, hello.eager_bytes_max);
  credits_ = hello.window;
  greeted_ = true;
  state_ = State::open;
  if (endpoint_.fabric().is_shared_memory()) peer_.watch(hello.process);
}

void RdmaLink::accept(const Hello& hello) noexcept {
  take_hello(hello);
  const Hello welcome = hello_of_ours();
  add_control(RecordType::welcome, &welcome, sizeof welcome);
  events_ = endpoint_.events()->on_link(*this);
  if (events_ != nullptr) return;
  released_ = true;
  fail({Code::refused, 0, "nobody wants the link"});
}

// The completion is queued before anything of the link is told, so that the caller knows it by then.
void RdmaLink::take_welcome(Bytes body) noexcept {
  Hello hello;
  if (state_ != State::connecting || body.size != sizeof hello) {
    malformed("a welcome that nobody waits for");
    return;
  }
  std::memcpy(&hello, body.data, sizeof hello);
  if (hello.version != kProtocolVersion) {
    fail({Code::refused, 0, "connect: the peer speaks another version"});
    return;
  }
  take_hello(hello);
  *connect_out_ = this;
  complete(connect_done_, kOk, 0);
  paused_ = true;
  resume_.pending = true;
  endpoint_.transport().host().complete(resume_, kOk, 0);
}

void RdmaLink::complete(Completion*& done, Status status, std::uint64_t value) noexcept {
  Completion* taken = std::exchange(done, nullptr);
  if (taken == nullptr) return;
  taken->plugin_slot[0] = nullptr;
  endpoint_.transport().host().complete(*taken, status, value);
}

void RdmaLink::malformed(const char* reason) noexcept {
  endpoint_.transport().log(Level::warning, "link with a peer of %s closed: %s", endpoint_.address().c_str(), reason);
  fail({Code::corrupt, 0, reason});
}

void RdmaLink::close() noexcept {
  if (state_ == State::open) pump();  // what was sent before goes out as far as the peer takes it
  fail({Code::closed, 0, "closed by this side"});
}

// Everything that is pending completes before dead_, which delivers the last events. Operations that the fabric has are
// waited for, since they use the caller's memory.
void RdmaLink::fail(Status why) noexcept {
  if (state_ >= State::draining) return;
  if (state_ == State::connecting) {
    complete(connect_done_, why, 0);
    events_ = nullptr;
    released_ = true;
  }
  state_ = State::draining;
  why_ = why;
  failed_ns_ = endpoint_.transport().host().now_ns();
  for (Send* message : std::exchange(sends_, {})) {
    complete(message->done, kClosed, 0);
    delete message;
  }
  drop_stalled();
  const std::vector<Transfer*> transfers = transfers_;
  for (Transfer* transfer : transfers) {
    if (transfer->left > 0) transfer->failure = kClosed;
    transfer->left = 0;
    if (transfer->blocked) endpoint_.forget(*transfer);
    if (transfer->ops == 0) finish_transfer(*transfer);
  }
  // The last of them has called it, if there were any.
  if (state_ == State::draining && transfers_.empty()) drained();
}

// No operation of this side is under way any more, which is what the peer waits for.
void RdmaLink::drained() noexcept {
  state_ = State::dying;
  if (greeted_ && !silent_ && endpoint_.open()) {
    stage_control();
    post_open_frame();
    const Ending ending{static_cast<std::int32_t>(why_.code), 0};
    add_control(RecordType::bye, &ending, sizeof ending);
    stage_control();
    post_open_frame();
  }
  dead_.pending = true;
  endpoint_.transport().host().complete(dead_, kOk, 0);
}

void RdmaLink::on_dead() noexcept {
  state_ = State::dead;
  if (events_ != nullptr) {
    LinkEvents& events = *events_;
    // The host may release the link inside: dead_ counts as pending until then.
    dead_.pending = true;
    if (std::exchange(in_eager_, false)) events.on_eager(*this, {Code::closed, 0, "the link closed in a payload"});
    events.on_closed(*this, why_);
    dead_.pending = false;
  }
  check_gone();
}

void RdmaLink::release() noexcept {
  released_ = true;
  check_gone();
}

bool RdmaLink::quiet() const noexcept {
  return state_ == State::dead && loans_ == 0 && transfers_.empty() && unsent_.empty() && !turn_.pending &&
         !resume_.pending && !dead_.pending;
}

void RdmaLink::check_gone() noexcept {
  RdmaTransport& transport = endpoint_.transport();
  Endpoint& endpoint = endpoint_;
  if (released_ && quiet() && lent_.next_reclaiming() == nullptr) endpoint_.remove_link(*this);
  if (endpoint.stopping()) endpoint.check_gone();
  transport.check_stopped();
}

void RdmaLink::tick(std::uint64_t now) noexcept {
  const Config& config = endpoint_.transport().config();
  if (state_ == State::connecting) {
    if (now < connect_until_ns_) return;
    silent_ = true;
    fail({Code::timed_out, 0, "connect: the peer does not answer"});
    return;
  }
  if (peer_.has_ended()) {
    silent_ = true;
    peer_is_done();
    fail({Code::closed, 0, "the peer's process has ended"});
  }
  if (state_ == State::open) {
    if (config.keepalive_ns > 0 && now - heard_ns_ > 3 * config.keepalive_ns) {
      silent_ = true;
      fail({Code::closed, ETIMEDOUT, "no word from the peer"});
    } else if (reclaim_since_ns_ != 0 && now - reclaim_since_ns_ > config.cut_after_ns) {
      fail({Code::closed, ETIMEDOUT, "the peer does not let go of memory that was lent to it"});
    } else if (config.keepalive_ns > 0 && now - told_ns_ >= config.keepalive_ns) {
      add_control(RecordType::ping, nullptr, 0);
      schedule_turn();
    }
    return;
  }
  // What a lost peer was still to be told.
  if (!unsent_.empty() && (silent_ || now - failed_ns_ > config.cut_after_ns)) {
    for (FrameBuffer* frame : std::exchange(unsent_, {})) endpoint_.put_frame(frame);
    endpoint_.forget(*this);
    check_gone();
  }
}

bool RdmaLink::wants_cut(std::uint64_t now) noexcept {
  if (state_ < State::draining) return false;
  if (now - failed_ns_ <= endpoint_.transport().config().cut_after_ns) return false;
  return !transfers_.empty() || (lent_.next_reclaiming() != nullptr && !peer_done_);
}

bool RdmaLink::peer_may_reach() noexcept {
  return peer_.process_fd >= 0 && !peer_done_ && !lent_.empty() && !peer_.has_ended();
}

void RdmaLink::cut_off() noexcept {
  stalled_.clear();
  unsent_.clear();
  open_ = nullptr;
  lent_.close_all();
  const std::vector<Transfer*> transfers = transfers_;
  for (Transfer* transfer : transfers) {
    transfer->failure = kClosed;
    transfer->ops = 0;
    transfer->left = 0;
    finish_transfer(*transfer);
  }
  if (!peer_may_reach()) peer_is_done();
}

}  // namespace rideau::rdma
