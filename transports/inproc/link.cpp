// SPDX-License-Identifier: Apache-2.0
#include "link.hpp"

#include "transport.hpp"

#include <utility>

namespace rideau::inproc {
namespace {

constexpr Status kClosed{Code::closed, 0, "the link is closed"};
constexpr Status kPeerClosed{Code::closed, 0, "the peer closed the link"};

}  // namespace

InprocLink::InprocLink(InprocTransport& transport, std::shared_ptr<Pipe> pipe, std::size_t side)
    : transport_(transport), pipe_(std::move(pipe)), side_(side) {
  const std::lock_guard lock(pipe_->mutex);
  own().link = this;
  own().host = &transport.host();
  own().hold_bytes = transport.config().hold_bytes;
}

InprocLink::~InprocLink() {
  const std::lock_guard lock(pipe_->mutex);
  // Without stop(), as after a power cut, the calls of this end never complete; those of the peer do.
  own().link = nullptr;
  own().host = nullptr;
  pipe_->close(side_, kClosed, kPeerClosed);
}

void InprocLink::begin(LinkEvents* events) noexcept {
  events_ = events;
  if (events == nullptr) {
    released_ = true;
    const std::lock_guard lock(pipe_->mutex);
    pipe_->close(side_, kClosed, {Code::refused, 0, "nobody wants the link"});
    return;
  }
  const std::lock_guard lock(pipe_->mutex);
  if (!own().inbox.empty()) pipe_->queue_delivery(own());
}

Submitted InprocLink::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                           Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  Outgoing outgoing;
  outgoing.head = head;
  outgoing.head_parts = head_parts;
  outgoing.eager = eager;
  outgoing.eager_parts = eager_parts;
  outgoing.head_bytes = driver::total_size(head, head_parts);
  outgoing.eager_bytes = driver::total_size(eager, eager_parts);
  outgoing.done = &done;
  outgoing.id = ++last_id_;
  if (head_parts > kPartsMax || eager_parts > kPartsMax)
    return done.finish({Code::too_large, 0, "send: too many parts"});
  if (outgoing.head_bytes > transport_.config().head_bytes || outgoing.eager_bytes > transport_.config().eager_bytes) {
    return done.finish({Code::too_large, 0, "send: message over the limit"});
  }
  const std::lock_guard lock(pipe_->mutex);
  if (pipe_->closed) return done.finish(kClosed);
  const bool now = own().waiting.empty() && pipe_->has_room(peer(), outgoing);
  if (now) {
    pipe_->put(peer(), outgoing);
    if (!outgoing.stays_lent()) return done.finish(kOk);
  } else {
    if (own().waiting.size() >= kSendsMax) return done.finish({Code::busy, 0, "send: too many wait on one link"});
    own().waiting.push_back(outgoing);
  }
  done.plugin_slot[0] = this;
  done.plugin_slot[1] = reinterpret_cast<void*>(outgoing.id);
  return Submitted::pending;
}

void InprocLink::cancel_send(Completion& done, std::uint64_t id) noexcept {
  const std::lock_guard lock(pipe_->mutex);
  if (pipe_->cancel(side_, id)) Pipe::complete(own(), &done, {Code::cancelled, 0, "send"});
}

Status InprocLink::lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                        RegionKey* key) noexcept {
  if ((access & (kAccessPull | kAccessPush)) == 0) return {Code::invalid, 0, "lend without access"};
  if (part_count > kPartsMax) return {Code::too_large, 0, "lend: too many parts"};
  if (driver::total_size(parts, part_count) > kBulkBytesMax) {
    return {Code::too_large, 0, "lend: region over the limit"};
  }
  const std::lock_guard lock(pipe_->mutex);
  if (pipe_->closed) return kClosed;
  Region* region = own().regions.add(parts, part_count, access, transport_.token(), key);
  if (region == nullptr) return {Code::busy, 0, "lend: too many regions on one link"};
  *out = region;
  return kOk;
}

// Whoever transfers holds the mutex, so nobody reaches the memory once this has it.
Submitted InprocLink::reclaim(Region& region, Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  const std::lock_guard lock(pipe_->mutex);
  own().regions.remove(static_cast<driver::LentRegion&>(region));
  return done.finish(kOk);
}

Submitted InprocLink::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                           Completion& done) noexcept {
  return transfer(key, remote_offset, local, parts, kAccessPull, done);
}

Submitted InprocLink::push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                           Completion& done) noexcept {
  return transfer(key, remote_offset, local, parts, kAccessPush, done);
}

// One copy, from memory of one end to memory of the other.
Submitted InprocLink::transfer(const RegionKey& key, std::uint64_t offset, const IoVec* local, std::uint32_t parts,
                               std::uint32_t access, Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  const std::uint64_t size = driver::total_size(local, parts);
  if (parts > kPartsMax) return done.finish({Code::too_large, 0, "too many parts"});
  if (size > kBulkBytesMax) return done.finish({Code::too_large, 0, "transfer over the limit"});
  const std::lock_guard lock(pipe_->mutex);
  if (pipe_->closed) return done.finish(kClosed);
  driver::KeyBytes bytes;
  driver::LentRegion* region = nullptr;
  const Code found =
      driver::read_key(key, &bytes) ? peer().regions.find(bytes, access, offset, size, &region) : Code::not_found;
  if (found != Code::ok) {
    if (access == kAccessPush) return done.finish(kOk, size);  // dropped, as the interface says
    if (found == Code::not_found) return done.finish({found, 0, "pull: the key reaches nothing"});
    return done.finish({found, 0, "pull: outside of the region, or access not granted"});
  }
  const driver::PartCursor here(local, parts);
  const driver::PartCursor there = region->at(offset);
  driver::copy_parts(access == kAccessPull ? there : here, access == kAccessPull ? here : there, size);
  transport_.host().count(Tally::copied_bytes, size);
  return done.finish(kOk, size);
}

void InprocLink::give_back(MessageLoan loan) noexcept {
  auto* message = static_cast<Message*>(loan.plugin_slot);
  {
    const std::lock_guard lock(pipe_->mutex);
    pipe_->give_room(own(), message->outgoing.held_bytes());
  }
  Message::drop(message);
  --loans_;
  if (!told_closed_) return;
  InprocTransport& transport = transport_;
  check_gone();
  transport.check_stopped();
}

void InprocLink::close() noexcept {
  const std::lock_guard lock(pipe_->mutex);
  pipe_->close(side_, {Code::closed, 0, "closed by this side"}, kPeerClosed);
}

void InprocLink::deliver_later() noexcept { transport_.host().complete(deliver_, kOk, 0); }

void InprocLink::die_later(Status why) noexcept {
  why_ = why;
  dead_.pending = true;
  transport_.host().complete(dead_, kOk, 0);
}

void InprocLink::on_deliver() noexcept {
  for (std::uint32_t i = 0; i < kDeliveriesPerTurn && deliver_next(); ++i) {
  }
  {
    const std::lock_guard lock(pipe_->mutex);
    if (!own().inbox.empty()) {
      deliver_later();
      return;
    }
    own().delivery_queued = false;  // the next message queues a turn anew
  }
  if (!told_closed_) return;
  InprocTransport& transport = transport_;
  check_gone();
  transport.check_stopped();
}

// False when there was nothing.
bool InprocLink::deliver_next() noexcept {
  Message* message = nullptr;
  {
    const std::lock_guard lock(pipe_->mutex);
    if (own().inbox.empty()) return false;
    message = own().inbox.front();
    own().inbox.pop_front();
    if (message->outgoing.done != nullptr) own().landing = message;
  }
  ++loans_;
  MessageLoan loan;
  loan.head = Bytes(message->head(), message->outgoing.head_bytes);
  loan.plugin_slot = message;
  const std::uint64_t eager_bytes = message->outgoing.eager_bytes;
  if (eager_bytes == 0) {
    events_->on_head(*this, loan, 0);
    return true;
  }
  // The host may give the head back before the payload has landed: this keeps the message until then.
  ++message->users;
  const Sink sink = events_->on_head(*this, loan, eager_bytes);
  const Status landed = land(*message, sink);
  Message::drop(message);
  events_->on_eager(*this, landed);
  return true;
}

Status InprocLink::land(Message& message, const Sink& sink) noexcept {
  const std::uint64_t bytes = message.outgoing.eager_bytes;
  const bool wanted = sink.part_count != 0;
  const bool fits = driver::total_size(sink.parts, sink.part_count) >= bytes;
  const driver::PartCursor to(sink.parts, sink.part_count);
  if (message.outgoing.stays_lent()) {
    const std::lock_guard lock(pipe_->mutex);
    if (own().landing == nullptr) return kClosed;
    own().landing = nullptr;
    if (wanted && fits) {
      driver::copy_parts(driver::PartCursor(message.outgoing.eager, message.outgoing.eager_parts), to, bytes);
    }
    Pipe::complete(peer(), std::exchange(message.outgoing.done, nullptr), kOk);
  } else if (wanted && fits) {
    driver::PartCursor(to).write(message.eager(), bytes);
  }
  if (wanted && !fits) return {Code::invalid, 0, "the sink is smaller than the payload"};
  if (wanted) transport_.host().count(Tally::copied_bytes, bytes);
  return kOk;
}

void InprocLink::on_dead() noexcept {
  InprocTransport& transport = transport_;
  if (events_ != nullptr) {
    dead_.pending = true;  // so that a release inside leaves this object until the end
    while (deliver_next()) {
    }
    told_closed_ = true;
    events_->on_closed(*this, why_);
    dead_.pending = false;
  }
  told_closed_ = true;
  check_gone();
  transport.check_stopped();
}

void InprocLink::release() noexcept {
  released_ = true;
  check_gone();
}

bool InprocLink::quiet() const noexcept {
  if (!told_closed_ || loans_ != 0 || dead_.pending) return false;
  const std::lock_guard lock(pipe_->mutex);
  return !pipe_->ends[side_].delivery_queued;
}

void InprocLink::check_gone() noexcept {
  if (released_ && quiet()) transport_.remove_link(*this);
}

}  // namespace rideau::inproc
