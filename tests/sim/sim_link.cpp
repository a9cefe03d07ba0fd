// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_link.hpp"

#include "framework/base/assert.hpp"
#include "tests/sim/hooks.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::sim {
namespace {

constexpr Status kClosed{Code::closed, 0, "link closed"};

std::uint64_t size_of(const IoVec* parts, std::uint32_t count) {
  std::uint64_t size = 0;
  for (std::uint32_t i = 0; i < count; ++i) size += parts[i].size;
  return size;
}

// Calls with each piece of a scattered buffer that lies in [offset, offset + size).
template <class Piece>
void pieces(const IoVec* parts, std::uint32_t count, std::uint64_t offset, std::uint64_t size, Piece piece) {
  for (std::uint32_t i = 0; i < count && size > 0; ++i) {
    if (offset >= parts[i].size) {
      offset -= parts[i].size;
      continue;
    }
    const std::size_t here = std::min<std::uint64_t>(parts[i].size - offset, size);
    piece(static_cast<std::uint8_t*>(parts[i].base) + offset, here);
    offset = 0;
    size -= here;
  }
}

std::vector<std::uint8_t> gather(const IoVec* parts, std::uint32_t count, std::uint64_t offset, std::uint64_t size) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(size);
  pieces(parts, count, offset, size,
         [&bytes](const std::uint8_t* from, std::size_t n) { bytes.insert(bytes.end(), from, from + n); });
  return bytes;
}

void scatter(const IoVec* parts, std::uint32_t count, std::uint64_t offset, const std::vector<std::uint8_t>& bytes) {
  std::size_t done = 0;
  pieces(parts, count, offset, bytes.size(), [&](std::uint8_t* to, std::size_t n) {
    std::memcpy(to, bytes.data() + done, n);
    done += n;
  });
}

RegionKey make_key(std::uint64_t value) {
  RegionKey key;
  key.size = sizeof value;
  std::memcpy(key.bytes, &value, sizeof value);
  return key;
}

std::uint64_t key_value(const RegionKey& key) {
  std::uint64_t value = 0;
  if (key.size == sizeof value) std::memcpy(&value, key.bytes, sizeof value);
  return value;
}

}  // namespace

SimLink::SimLink(SimTransport& transport, LinkId id, LinkId peer, NodeId peer_node)
    : transport_(transport), network_(transport.network()), id_(id), peer_(peer), peer_node_(peer_node) {
  opened_.link = this;
  opened_.resume = [](Completion* done) noexcept {
    SimLink* link = static_cast<Own*>(done)->link;
    link->open_ = true;
    link->deliver_inbox();
  };
  closed_.link = this;
  closed_.resume = [](Completion* done) noexcept { static_cast<Own*>(done)->link->tell_closed(); };
  network_.links_[id_] = this;
}

SimLink::~SimLink() {
  transport_.runtime().forget(opened_);
  transport_.runtime().forget(closed_);
  network_.links_.erase(id_);
}

void SimLink::at(std::uint64_t delay_ns, std::function<void(SimLink&)> action) {
  SimNetwork& network = network_;
  const LinkId id = id_;
  network.world().at(network.world().now_ns() + delay_ns, transport_.runtime().id(), EventKind::network,
                     [&network, id, action = std::move(action)] {
                       if (SimLink* link = network.find(id)) action(*link);
                     });
}

void SimLink::mix(const char* what, const void* bytes, std::size_t size, const std::string& text) {
  SimWorld& world = network_.world();
  world.mix(Bytes(bytes, size));
  if (!world.tracing()) return;
  world.trace(transport_.runtime().id(), "%s %s: %s", what, world.node_name(peer_node_).c_str(), text.c_str());
}

void SimLink::open_soon() { transport_.host().complete(opened_, kOk, 0); }

Submitted SimLink::send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                        Completion& done) noexcept {
  if (ended_) return done.finish(kClosed);
  const TransportLimits limits = transport_.limits();
  if (size_of(head, head_parts) > limits.head_bytes_max || size_of(eager, eager_parts) > limits.eager_bytes_max ||
      head_parts > limits.parts_max || eager_parts > limits.parts_max) {
    return done.finish({Code::too_large, 0, "send a message"});
  }
  const Send send{head, head_parts, eager, eager_parts, &done};
  if (sends_.empty() && network_.world().random().chance(40)) {
    transmit(send);
    return done.finish(kOk);
  }
  sends_.push_back(send);
  pump_soon();
  return Submitted::pending;
}

void SimLink::pump_soon() {
  if (pump_queued_) return;
  pump_queued_ = true;
  at(network_.world().random().below(20 * kMicrosecond), [](SimLink& link) { link.pump(); });
}

void SimLink::pump() {
  pump_queued_ = false;
  if (sends_.empty()) return;
  const Send send = sends_.front();
  sends_.pop_front();
  transmit(send);
  transport_.host().complete(*send.done, kOk, 0);
  if (!sends_.empty()) pump_soon();
}

// Reads the lent parts as late as the contract allows, so that a caller who reuses them too early is found.
void SimLink::transmit(const Send& send) {
  auto message = std::make_shared<SimMessage>();
  const std::vector<std::uint8_t> head = gather(send.head, send.head_parts, 0, size_of(send.head, send.head_parts));
  message->head_bytes = head.size();
  message->head.resize((head.size() + 7) / 8);
  if (!head.empty()) std::memcpy(message->head.data(), head.data(), head.size());
  message->eager = gather(send.eager, send.eager_parts, 0, size_of(send.eager, send.eager_parts));
  ++network_.messages_;
  if (network_.breaks_at(*this)) return;
  network_.carry(*this, true, not_before_ns_, [message](SimLink& peer) { peer.arrive(message); });
}

void SimLink::arrive(std::shared_ptr<SimMessage> message) {
  if (ended_) return;
  const Bytes head(static_cast<const void*>(message->head.data()), message->head_bytes);
  network_.world().mix(Bytes(message->eager.data(), message->eager.size()));
  const NodeId here = transport_.runtime().id();
  mix("from", head.data, head.size,
      network_.world().tracing() ? network_.describe(head, peer_node_, here) : std::string());
  inbox_.push_back(std::move(message));
  deliver_inbox();
}

void SimLink::deliver_inbox() {
  while (open_ && !ended_ && eager_of_ == nullptr && !inbox_.empty()) {
    const std::shared_ptr<SimMessage> message = std::move(inbox_.front());
    inbox_.pop_front();
    const std::uint64_t number = next_loan_++;
    loans_[number] = message;
    MessageLoan loan;
    loan.head = Bytes(static_cast<const void*>(message->head.data()), message->head_bytes);
    loan.plugin_slot = reinterpret_cast<void*>(static_cast<std::uintptr_t>(number));
    if (message->eager.empty()) {
      events_->on_head(*this, loan, 0);
      continue;
    }
    eager_of_ = message;
    sink_ = events_->on_head(*this, loan, message->eager.size());
    at(network_.world().random().below(50 * kMicrosecond), [](SimLink& link) { link.end_eager(); });
  }
}

void SimLink::end_eager() {
  if (eager_of_ == nullptr || ended_) return;  // tell_closed() answers for it
  const std::shared_ptr<SimMessage> message = std::move(eager_of_);
  eager_of_ = nullptr;
  if (sink_.part_count > 0) scatter(sink_.parts, sink_.part_count, 0, message->eager);
  events_->on_eager(*this, kOk);
  deliver_inbox();
}

void SimLink::give_back(MessageLoan loan) noexcept {
  const std::size_t erased = loans_.erase(reinterpret_cast<std::uintptr_t>(loan.plugin_slot));
  RIDEAU_ASSERT(erased == 1);
  transport_.check_stopped();
}

Status SimLink::lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
                     RegionKey* key) noexcept {
  if (ended_) return kClosed;
  const TransportLimits limits = transport_.limits();
  const std::uint64_t size = size_of(parts, part_count);
  if (size > limits.bulk_bytes_max || part_count > limits.parts_max) return {Code::too_large, 0, "lend a region"};
  auto region = std::make_unique<SimRegion>();
  region->parts.assign(parts, parts + part_count);
  region->access = access;
  region->size = size;
  region->key = network_.world().random().next();
  *out = region.get();
  *key = make_key(region->key);
  regions_[region->key] = std::move(region);
  return kOk;
}

// The region can be reached until the completion: who reuses its memory before finds foreign bytes in it.
Submitted SimLink::reclaim(Region& region, Completion& done) noexcept {
  auto& mine = static_cast<SimRegion&>(region);
  RIDEAU_ASSERT(!mine.reclaiming);
  mine.reclaiming = true;
  const std::uint64_t key = mine.key;
  Random& random = network_.world().random();
  if (random.chance(40)) {
    regions_.erase(key);
    return done.finish(kOk);
  }
  ++reclaiming_;
  at(random.chance(10) ? random.below(2 * kMillisecond) : random.below(20 * kMicrosecond), [key, &done](SimLink& link) {
    link.regions_.erase(key);
    --link.reclaiming_;
    link.transport_.host().complete(done, kOk, 0);
    link.transport_.check_stopped();
  });
  return Submitted::pending;
}

SimRegion* SimLink::region(std::uint64_t key) const noexcept {
  const auto found = regions_.find(key);
  return found == regions_.end() ? nullptr : found->second.get();
}

Submitted SimLink::pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                        Completion& done) noexcept {
  if (ended_) return done.finish(kClosed);
  const std::uint64_t size = size_of(local, parts);
  const TransportLimits limits = transport_.limits();
  if (size > limits.bulk_bytes_max || parts > limits.parts_max) return done.finish({Code::too_large, 0, "pull"});
  const std::uint64_t number = next_bulk_++;
  const std::uint64_t remote = key_value(key);
  pulls_[number] = {remote, remote_offset, local, parts, size, &done};
  network_.carry(*this, false, 0, [number, remote, remote_offset, size](SimLink& peer) {
    peer.answer_pull(number, remote, remote_offset, size);
  });
  return Submitted::pending;
}

void SimLink::answer_pull(std::uint64_t pull, std::uint64_t key, std::uint64_t offset, std::uint64_t size) {
  if (ended_) return;
  Status status = kOk;
  auto bytes = std::make_shared<std::vector<std::uint8_t>>();
  const SimRegion* from = region(key);
  if (from == nullptr) {
    hit("late_bulk_refused");
    status = {Code::not_found, 0, "pull from a region"};
  } else if ((from->access & kAccessPull) == 0 || offset > from->size || size > from->size - offset) {
    status = {Code::invalid, 0, "pull from a region"};
  } else {
    *bytes = gather(from->parts.data(), static_cast<std::uint32_t>(from->parts.size()), offset, size);
  }
  network_.bulk_bytes_ += bytes->size();
  network_.carry(*this, false, 0, [pull, status, bytes](SimLink& peer) { peer.land_pull(pull, status, *bytes); });
}

void SimLink::land_pull(std::uint64_t pull, Status status, const std::vector<std::uint8_t>& bytes) {
  const auto found = pulls_.find(pull);
  if (ended_ || found == pulls_.end()) return;
  const Bulk bulk = found->second;
  pulls_.erase(found);
  mix("bulk pulled from", bytes.data(), bytes.size(),
      std::to_string(bytes.size()) + " bytes, code " + std::to_string(static_cast<int>(status.code)));
  if (status.ok()) scatter(bulk.local, bulk.parts, 0, bytes);
  transport_.host().complete(*bulk.done, status, bytes.size());
}

Submitted SimLink::push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                        Completion& done) noexcept {
  if (ended_) return done.finish(kClosed);
  const std::uint64_t size = size_of(local, parts);
  const TransportLimits limits = transport_.limits();
  if (size > limits.bulk_bytes_max || parts > limits.parts_max) return done.finish({Code::too_large, 0, "push"});
  const std::uint64_t number = next_bulk_++;
  pushes_[number] = {key_value(key), remote_offset, local, parts, size, &done};
  at(network_.world().random().below(100 * kMicrosecond), [number](SimLink& link) { link.finish_push(number); });
  return Submitted::pending;
}

// The bytes leave now. They may land late, but before any message that is sent from here after the completion.
void SimLink::finish_push(std::uint64_t push) {
  const auto found = pushes_.find(push);
  if (found == pushes_.end()) return;
  const Bulk bulk = found->second;
  pushes_.erase(found);
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(gather(bulk.local, bulk.parts, 0, bulk.size));
  const std::uint64_t landing =
      network_.carry(*this, false, 0, [bulk, bytes](SimLink& peer) { peer.land_push(bulk.key, bulk.offset, *bytes); });
  not_before_ns_ = std::max(not_before_ns_, landing);
  transport_.host().complete(*bulk.done, kOk, bulk.size);
}

void SimLink::land_push(std::uint64_t key, std::uint64_t offset, const std::vector<std::uint8_t>& bytes) {
  if (ended_) return;
  SimRegion* to = region(key);
  const bool lands =
      to != nullptr && (to->access & kAccessPush) != 0 && offset <= to->size && bytes.size() <= to->size - offset;
  mix(lands ? "bulk pushed by" : "bulk dropped from", bytes.data(), bytes.size(),
      std::to_string(bytes.size()) + " bytes");
  if (!lands) {
    hit("late_bulk_refused");
    return;
  }
  network_.bulk_bytes_ += bytes.size();
  scatter(to->parts.data(), static_cast<std::uint32_t>(to->parts.size()), offset, bytes);
}

bool SimLink::withdraw(Completion& pending) noexcept {
  const auto send = std::find_if(sends_.begin(), sends_.end(), [&](const Send& one) { return one.done == &pending; });
  if (send != sends_.end()) {
    sends_.erase(send);
    return true;
  }
  for (auto* bulks : {&pushes_, &pulls_}) {
    for (auto bulk = bulks->begin(); bulk != bulks->end(); ++bulk) {
      if (bulk->second.done != &pending) continue;
      bulks->erase(bulk);
      return true;
    }
  }
  return false;
}

void SimLink::close() noexcept {
  if (ended_) return;
  network_.carry(*this, true, not_before_ns_, [](SimLink& peer) { peer.end({Code::closed, 0, "closed by the peer"}); });
  end({Code::closed, 0, "closed"});
}

void SimLink::end(Status why) {
  if (ended_) return;
  ended_ = true;
  why_ = why;
  inbox_.clear();
  Host& host = transport_.host();
  for (const Send& send : sends_) host.complete(*send.done, kClosed, 0);
  for (const auto* bulks : {&pushes_, &pulls_}) {
    for (const auto& [number, bulk] : *bulks) host.complete(*bulk.done, kClosed, 0);
  }
  sends_.clear();
  pushes_.clear();
  pulls_.clear();
  // Completions of a node resume in order, so this comes after all of the above.
  host.complete(closed_, kOk, 0);
}

void SimLink::tell_closed() {
  if (eager_of_ != nullptr) {
    eager_of_ = nullptr;
    events_->on_eager(*this, kClosed);
  }
  told_closed_ = true;
  SimTransport& transport = transport_;
  if (network_.world().tracing()) {
    network_.world().trace(transport.runtime().id(), "link with %s closed: %s",
                           network_.world().node_name(peer_node_).c_str(), why_.where);
  }
  events_->on_closed(*this, why_);  // the host may release the link in it
  transport.check_stopped();
}

void SimLink::release() noexcept {
  // The frames of a process that died go without taking back what it lent.
  const bool orderly = !transport_.runtime().dead();
  RIDEAU_ASSERT(!orderly || (told_closed_ && loans_.empty() && regions_.empty()));
  transport_.remove_link(id_);
}

}  // namespace rideau::sim
