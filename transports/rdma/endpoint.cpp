// SPDX-License-Identifier: Apache-2.0
#include "endpoint.hpp"

#include "link.hpp"
#include "shared_memory.hpp"
#include "transport.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rideau::rdma {
namespace {

std::uint64_t tick_for(const Config& config) noexcept {
  std::uint64_t least = config.cut_after_ns / 4;
  if (config.keepalive_ns > 0) least = std::min(least, config.keepalive_ns / 4);
  return std::clamp(least, kTickNsLeast, kTickNsMost);
}

}  // namespace

Peer::~Peer() {
  if (process_fd >= 0) ::close(process_fd);
}

void Peer::watch(std::uint32_t its_process) noexcept {
  if (process_fd >= 0 || its_process == kUnknownProcess || its_process == static_cast<std::uint32_t>(::getpid()))
    return;
  process = its_process;
  process_fd = static_cast<int>(::syscall(SYS_pidfd_open, its_process, 0));
}

bool Peer::has_ended() const noexcept {
  pollfd one{process_fd, POLLIN, 0};
  return process_fd >= 0 && ::poll(&one, 1, 0) == 1;
}

Endpoint::Endpoint(RdmaTransport& transport, std::unique_ptr<Fabric> fabric, LinkEvents* events, std::string address)
    : transport_(transport),
      fabric_(std::move(fabric)),
      events_(events),
      address_(std::move(address)),
      tick_ns_(tick_for(transport.config())),
      receives_(std::make_unique<FramePool>(*fabric_, FI_RECV)),
      sends_(std::make_unique<FramePool>(*fabric_, FI_SEND)) {}

Endpoint::~Endpoint() {
  close_fabric();
  for (RdmaLink* link : links_) delete link;
}

Status Endpoint::begin() noexcept {
  want_receives(kFirstReceives);
  if (receive_count_ == 0) return {Code::busy, 0, "no memory for receives"};
  tick_.pending = transport_.host().sleep(tick_ns_, tick_) == Submitted::pending;
  schedule();
  return kOk;
}

bool Endpoint::serves(const fi_info& info) const noexcept {
  if (!open() || stopping_) return false;
  const fi_info& own = fabric_->info();
  return std::strcmp(own.fabric_attr->name, info.fabric_attr->name) == 0 &&
         std::strcmp(own.domain_attr->name, info.domain_attr->name) == 0 && own.addr_format == info.addr_format;
}

void Endpoint::connect(Bytes name, std::uint32_t process, LinkEvents& events, Link** out, Completion& done) {
  Peer* peer = find_peer(name);
  if (peer != nullptr && fabric_->is_shared_memory()) {
    // The memory of a process that had this name before stays where it was until its last link has gone.
    if (peer->process_fd >= 0 && process != kUnknownProcess && process != peer->process) {
      transport_.host().complete(done, {Code::refused, 0, "connect: the one before it has not gone yet"}, 0);
      return;
    }
    peer->watch(process);
  }
  RdmaLink* link = peer != nullptr ? add_link(*peer) : nullptr;
  if (link == nullptr) {
    transport_.host().complete(done, {Code::busy, 0, "connect: no room for the link"}, 0);
    return;
  }
  link->greet(events, out, done);
}

// ---- The completion queue.

// Every call that was made of the fabric may have left completions, or changed what its descriptor waits for: the queue
// is read and asked again before the thread sleeps.
void Endpoint::made_call() noexcept {
  if (turn_.pending || !open()) return;
  turn_.pending = true;
  transport_.host().complete(turn_, kOk, 0);
}

// Arms the next call: when the descriptor is ready, after a pause, or in the next turn.
void Endpoint::schedule() noexcept {
  if (!open() || turn_.pending) return;
  Host& host = transport_.host();
  const Config& config = transport_.config();
  if (fabric_->wait_fd() >= 0 && !config.busy_poll) {
    if (fabric_->may_sleep()) {
      if (ready_.pending) return;
      ready_.pending = true;
      if (host.wait_fd(fabric_->wait_fd(), kWaitReadable, ready_) == Submitted::pending) return;
      ready_.pending = false;
    }
  } else if (!config.busy_poll && host.now_ns() - last_traffic_ns_ > kEagerPollNs) {
    if (pause_.pending) return;
    pause_.pending = true;
    if (host.sleep(config.poll_ns, pause_) == Submitted::pending) return;
    pause_.pending = false;
  }
  made_call();
}

void Endpoint::on_ready() noexcept { progress(); }
void Endpoint::on_turn() noexcept { progress(); }
void Endpoint::on_pause_over() noexcept { progress(); }

void Endpoint::progress() noexcept {
  for (std::uint32_t i = 0; open() && i < kReadsPerTurn && read_completions(); ++i) {
  }
  if (open()) {
    for (FrameBuffer* frame : std::exchange(unposted_, {})) post_receive(*frame);
    if (!blocked_links_.empty() || !blocked_transfers_.empty()) retry();
  }
  schedule();
  check_gone();
}

// False when the queue is empty.
bool Endpoint::read_completions() noexcept {
  fi_cq_msg_entry entries[kCompletionsAtOnce];
  const std::int64_t count = fi_cq_read(fabric_->cq(), entries, kCompletionsAtOnce);
  if (count == -FI_EAVAIL) {
    fi_cq_err_entry failed{};
    if (fi_cq_readerr(fabric_->cq(), &failed, 0) < 1) return false;
    if (failed.op_context != nullptr) {
      handle(*static_cast<Op*>(failed.op_context), 0, failed.err != 0 ? -failed.err : -FI_EIO);
    }
    return true;
  }
  if (count <= 0) return false;
  last_traffic_ns_ = transport_.host().now_ns();
  for (std::int64_t i = 0; i < count && open(); ++i) {
    handle(*static_cast<Op*>(entries[i].op_context), entries[i].len, 0);
  }
  return true;
}

void Endpoint::handle(Op& op, std::uint64_t bytes, std::int64_t error) noexcept {
  switch (op.kind) {
    case OpKind::receive: {
      auto& frame = static_cast<FrameBuffer&>(op);
      if (error == -FI_ECANCELED) return;
      frame.bytes = error == 0 ? static_cast<std::uint32_t>(bytes) : 0;
      if (error == 0) {
        received(frame);
      } else {
        repost(&frame);
      }
      return;
    }
    case OpKind::send:
      sent(static_cast<FrameBuffer&>(op), error);
      return;
    case OpKind::transfer: {
      auto& piece = static_cast<TransferOp&>(op);
      Transfer& transfer = *piece.transfer;
      put_op(&piece);
      transfer.link->transfer_ended(transfer, error);
      return;
    }
  }
}

void Endpoint::sent(FrameBuffer& frame, std::int64_t error) noexcept {
  Peer* peer = std::exchange(frame.peer, nullptr);
  put_frame(&frame);
  --sends_under_way_;
  if (error != 0) {
    // Frames of a link must not be missing: who had one on the way to this peer loses the link.
    for (std::size_t i = 0; i < links_.size(); ++i) {
      if (links_[i] != nullptr && &links_[i]->peer() == peer)
        links_[i]->fail(fabric_failure(error, "send to the peer"));
    }
  }
  drop_peer(*peer);
}

void Endpoint::received(FrameBuffer& frame) noexcept {
  FrameHeader header;
  const char* fault = fault_of(frame.data, frame.bytes);
  if (frame.bytes >= sizeof header) std::memcpy(&header, frame.data, sizeof header);
  if (fault != nullptr) {
    transport_.log(Level::warning, "a frame was dropped: %s", fault);
    RdmaLink* link = frame.bytes >= sizeof header ? find_link(header) : nullptr;
    if (link != nullptr) link->fail({Code::corrupt, 0, fault});
    repost(&frame);
    return;
  }
  if (header.link == kNoLink) {
    greeted(frame);
    repost(&frame);
    return;
  }
  // A frame for a link that is over, or of an earlier life of this address: nobody's.
  RdmaLink* link = find_link(header);
  if (link == nullptr || !link->take_frame(frame)) repost(&frame);
}

void Endpoint::greeted(const FrameBuffer& frame) noexcept {
  walk_records(frame.data, [&](RecordType type, Bytes body) {
    Hello hello;
    if (type != RecordType::hello || body.size < sizeof hello) return false;
    std::memcpy(&hello, body.data, sizeof hello);
    if (hello.name_bytes == 0 || hello.name_bytes > kNameBytesMax || body.size != sizeof hello + hello.name_bytes)
      return false;
    Peer* peer = find_peer(Bytes(body.data + sizeof hello, hello.name_bytes));
    if (peer == nullptr) return false;
    if (events_ == nullptr || stopping_ || hello.version != kProtocolVersion) {
      refuse(*peer, hello, Code::refused);
      return false;
    }
    RdmaLink* link = add_link(*peer);
    if (link == nullptr) {
      refuse(*peer, hello, Code::busy);
      return false;
    }
    link->accept(hello);
    return false;
  });
}

void Endpoint::refuse(Peer& peer, const Hello& hello, Code code) noexcept {
  FrameBuffer* frame = take_frame();
  ++peer.references;
  if (frame != nullptr) {
    auto* header = new (frame->data) FrameHeader;
    header->link = hello.link;
    header->nonce = hello.nonce;
    const RecordHeader record{RecordType::refuse, sizeof(Ending)};
    const Ending ending{static_cast<std::int32_t>(code), 0};
    header->bytes = sizeof record + sizeof ending;
    std::memcpy(frame->data + sizeof *header, &record, sizeof record);
    std::memcpy(frame->data + sizeof *header + sizeof record, &ending, sizeof ending);
    frame->bytes = sizeof *header + header->bytes;
    seal(frame->data);
    // Told once, if the fabric takes it: who is not told gives up after a time.
    if (post(frame, peer) != 0) put_frame(frame);
  }
  drop_peer(peer);
}

std::int64_t Endpoint::post(FrameBuffer* frame, Peer& peer) noexcept {
  frame->kind = OpKind::send;
  if (!can_reach(peer)) return -FI_ENOTCONN;
  const std::int64_t result =
      fi_send(fabric_->ep(), frame->data, frame->bytes, frame->descriptor, peer.address, &frame->context);

  if (result != 0) return result;
  made_call();
  frame->peer = &peer;
  ++peer.references;
  ++sends_under_way_;
  return 0;
}

bool Endpoint::can_reach(const Peer& peer) const noexcept {
  return !peer.is_local || open_in_this_process(Bytes(std::string_view(peer.name)));
}

FrameBuffer* Endpoint::take_frame() noexcept { return open() ? sends_->take(transport_.token()) : nullptr; }

void Endpoint::repost(FrameBuffer* frame) noexcept {
  if (open()) post_receive(*frame);
}

void Endpoint::post_receive(FrameBuffer& frame) noexcept {
  frame.kind = OpKind::receive;
  frame.at = 0;
  const std::int64_t result =
      fi_recv(fabric_->ep(), frame.data, kFrameBytes, frame.descriptor, FI_ADDR_UNSPEC, &frame.context);
  if (result != 0) unposted_.push_back(&frame);
}

// As many as the provider holds: what does not fit there waits at the peers.
void Endpoint::want_receives(std::uint32_t more) noexcept {
  const std::size_t most = fabric_->info().rx_attr->size;
  for (std::uint32_t i = 0; i < more && receive_count_ < most; ++i) {
    FrameBuffer* frame = receives_->take(transport_.token());
    if (frame == nullptr) return;
    ++receive_count_;
    post_receive(*frame);
  }
}

TransferOp* Endpoint::take_op() {
  if (free_ops_.empty()) {
    ops_.push_back(std::make_unique<TransferOp>());
    ops_.back()->kind = OpKind::transfer;
    free_ops_.push_back(ops_.back().get());
  }
  TransferOp* op = free_ops_.back();
  free_ops_.pop_back();
  return op;
}

// ---- What the fabric refused for now.

void Endpoint::blocked(RdmaLink& link) noexcept {
  if (std::find(blocked_links_.begin(), blocked_links_.end(), &link) == blocked_links_.end()) {
    blocked_links_.push_back(&link);
  }
  arm_retry();
}

void Endpoint::blocked(Transfer& transfer) noexcept {
  transfer.blocked = true;
  blocked_transfers_.push_back(&transfer);
  arm_retry();
}

void Endpoint::forget(Transfer& transfer) noexcept {
  std::erase(blocked_transfers_, &transfer);
  transfer.blocked = false;
}

void Endpoint::forget(RdmaLink& link) noexcept { std::erase(blocked_links_, &link); }

void Endpoint::arm_retry() noexcept {
  if (retry_.pending || !open()) return;
  retry_ns_ = std::clamp(retry_ns_ * 2, kRetryNsLeast, kRetryNsMost);
  retry_.pending = transport_.host().sleep(retry_ns_, retry_) == Submitted::pending;
}

// A refused call may come through only after the queue was polled.
void Endpoint::on_retry() noexcept { progress(); }

void Endpoint::retry() noexcept {
  const std::size_t before = blocked_links_.size() + blocked_transfers_.size();
  for (RdmaLink* link : std::exchange(blocked_links_, {})) link->retry();
  // One at a time: what fails takes others of its link out of the list.
  for (std::size_t left = blocked_transfers_.size(); left > 0 && !blocked_transfers_.empty(); --left) {
    Transfer& transfer = *blocked_transfers_.front();
    forget(transfer);
    transfer.link->issue(transfer);
  }
  if (blocked_links_.size() + blocked_transfers_.size() < before) retry_ns_ = 0;
}

// ---- Links and peers.

Peer* Endpoint::find_peer(Bytes name) {
  const std::string key(name.view());
  for (auto& peer : peers_) {
    if (peer->name == key) return peer.get();
  }
  auto peer = std::make_unique<Peer>();
  peer->name = key;
  peer->is_local = fabric_->is_shared_memory() && open_in_this_process(name);
  if (fi_av_insert(fabric_->av(), key.data(), 1, &peer->address, 0, nullptr) != 1) return nullptr;
  peers_.push_back(std::move(peer));
  return peers_.back().get();
}

// Through shared memory a peer can still send to an endpoint that has forgotten it, and the provider does not survive
// that: such a peer stays until its process has ended.
void Endpoint::drop_peer(Peer& peer) noexcept {
  if (--peer.references > 0 || (open() && fabric_->is_shared_memory())) return;
  remove_peer(peer);
}

// In the second round after the end, when what the process had sent was received.
void Endpoint::remove_ended_peers() noexcept {
  for (std::size_t i = peers_.size(); i-- > 0;) {
    Peer& peer = *peers_[i];
    if (peer.references == 0 && peer.ending) {
      remove_peer(peer);
    } else {
      peer.ending = peer.has_ended();
    }
  }
}

void Endpoint::remove_peer(Peer& peer) noexcept {
  if (open()) fi_av_remove(fabric_->av(), &peer.address, 1, 0);
  std::erase_if(peers_, [&](const auto& one) { return one.get() == &peer; });
}

RdmaLink* Endpoint::add_link(Peer& peer) {
  ++peer.references;
  if (stopping_ || !transport_.room_for_link()) {
    drop_peer(peer);
    return nullptr;
  }
  if (free_links_.empty()) {
    free_links_.push_back(static_cast<std::uint32_t>(links_.size()));
    links_.push_back(nullptr);
  }
  const std::uint32_t index = free_links_.back();
  free_links_.pop_back();
  links_[index] = new RdmaLink(*this, peer, index, transport_.token());
  ++links_count_;
  transport_.count_link(+1);
  const std::uint64_t wanted = kFirstReceives + std::uint64_t{links_count_} * transport_.config().window;
  if (wanted > receive_count_) want_receives(static_cast<std::uint32_t>(wanted - receive_count_));
  return links_[index];
}

RdmaLink* Endpoint::find_link(const FrameHeader& header) const noexcept {
  if (header.link >= links_.size()) return nullptr;
  RdmaLink* link = links_[header.link];
  return link != nullptr && link->nonce() == header.nonce ? link : nullptr;
}

void Endpoint::remove_link(RdmaLink& link) noexcept {
  forget(link);
  links_[link.index()] = nullptr;
  free_links_.push_back(link.index());
  --links_count_;
  transport_.count_link(-1);
  Peer& peer = link.peer();
  delete &link;
  drop_peer(peer);
}

// ---- Time, and the end.

void Endpoint::on_tick() noexcept {
  if (!open()) {
    check_gone();
    return;
  }
  const std::uint64_t now = transport_.host().now_ns();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (links_[i] != nullptr) links_[i]->tick(now);
  }
  if (!open()) return;  // the last link has gone with its tick
  if (fabric_->is_shared_memory()) remove_ended_peers();
  bool cut_it = false;
  bool wait = false;
  for (RdmaLink* link : links_) {
    if (link == nullptr || !link->wants_cut(now)) continue;
    cut_it = true;
    wait = wait || link->peer_may_reach();
  }
  if (cut_it && !wait) {
    cut("a peer that is gone had business with our memory");
  } else {
    tick_.pending = transport_.host().sleep(tick_ns_, tick_) == Submitted::pending;
  }
  check_gone();
}

void Endpoint::cut(const char* why) noexcept {
  if (!open()) return;
  transport_.log(Level::warning, "endpoint %s is opened anew: %s", address_.c_str(), why);
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (links_[i] != nullptr) links_[i]->fail({Code::closed, 0, "the endpoint was closed to cut off a peer"});
  }
  close_fabric();
  if (events_ != nullptr && !stopping_) transport_.listen_again(address_, *events_);
}

// The endpoint first: after that nothing reaches memory, and registrations may go.
void Endpoint::close_fabric() noexcept {
  if (!open()) return;
  if (fabric_->wait_fd() >= 0) transport_.host().forget_fd(fabric_->wait_fd());
  fabric_->close_endpoint();
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (links_[i] != nullptr) links_[i]->cut_off();
  }
  unposted_.clear();
  receives_.reset();
  sends_.reset();
  sends_under_way_ = 0;
  fabric_.reset();
  if (pause_.pending) transport_.host().cancel(pause_);
  if (retry_.pending) transport_.host().cancel(retry_);
  if (tick_.pending) transport_.host().cancel(tick_);
}

void Endpoint::stop() noexcept {
  stopping_ = true;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    if (links_[i] != nullptr) links_[i]->close();
  }
  check_gone();
}

// What was sent leaves before the endpoint closes, since the peers should hear of the end. Through shared memory it
// also has to be taken in: a provider in this process would follow a pointer to here.
void Endpoint::check_gone() noexcept {
  if (!stopping_) return;  // one that was cut stays until its links have gone
  auto over = [](RdmaLink* link) { return link == nullptr || (link->quiet() && !link->peer_may_reach()); };
  if (open() && sends_under_way_ == 0 && std::all_of(links_.begin(), links_.end(), over)) {
    const std::uint64_t now = transport_.host().now_ns();
    if (over_since_ns_ == 0) over_since_ns_ = now;
    if (!fabric_->is_shared_memory() || now - over_since_ns_ >= kLingerNs) close_fabric();
  }
  transport_.check_stopped();
}

bool Endpoint::quiet() const noexcept {
  return fabric_ == nullptr && !ready_.pending && !turn_.pending && !pause_.pending && !retry_.pending &&
         !tick_.pending;
}

}  // namespace rideau::rdma
