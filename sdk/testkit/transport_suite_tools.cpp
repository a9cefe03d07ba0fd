// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/transport_suite_tools.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rideau::transport_suite {

Buffer random_bytes(Dice& dice, std::size_t size) {
  const std::string bytes = dice.bytes(size);
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return Buffer(data, data + size);
}

std::vector<IoVec> split(Buffer& buffer, std::size_t parts, Dice& dice) {
  std::vector<IoVec> out;
  std::size_t at = 0;
  for (std::size_t i = 0; i + 1 < parts; ++i) {
    const std::size_t left = buffer.size() - at;
    const std::size_t size = dice.below(std::min<std::size_t>(left, 2 * (buffer.size() / parts) + 1) + 1);
    out.push_back({buffer.data() + at, size});
    at += size;
  }
  out.push_back({buffer.data() + at, buffer.size() - at});
  return out;
}

LinkEvents* Peer::on_link(Link&) noexcept {
  broken("on_link came for a link that was connected");
  return nullptr;
}

Sink Peer::on_head(Link& from, MessageLoan loan, std::uint64_t eager_bytes) noexcept {
  if (&from != link && link != nullptr) broken("an event names another link");
  link = &from;
  if (closed) broken("a head came after on_closed");
  if (in_payload_) broken("a head came before the payload of the last one");
  if (reinterpret_cast<std::uintptr_t>(loan.head.data) % 8 != 0) broken("a head is not aligned to 8 bytes");
  current_ = Received{};
  current_.head.assign(loan.head.data, loan.head.data + loan.head.size);
  current_.eager_bytes = eager_bytes;
  if (hold) {
    held_.push_back({loan, current_.head});
  } else {
    from.give_back(loan);
  }
  if (eager_bytes == 0) {
    inbox.push_back(std::move(current_));
    return {};
  }
  in_payload_ = true;
  if (take == Take::discard) return {};
  sink_.assign(eager_bytes + (take == Take::larger ? 100 : 0), 0xee);
  sink_parts_ = split(sink_, take == Take::parts ? 17 : 1, dice_);
  return {sink_parts_.data(), static_cast<std::uint32_t>(sink_parts_.size())};
}

void Peer::on_eager(Link&, Status status) noexcept {
  if (!in_payload_) broken("on_eager came without a payload");
  in_payload_ = false;
  ++payload_ends;
  if (!status.ok()) return;
  if (take == Take::larger) {
    const bool spared = std::all_of(sink_.end() - 100, sink_.end(), [](std::uint8_t byte) { return byte == 0xee; });
    if (!spared) broken("a payload was written beyond its end");
    sink_.resize(sink_.size() - 100);
  }
  if (take != Take::discard) current_.eager = std::move(sink_);
  inbox.push_back(std::move(current_));
}

void Peer::on_closed(Link& from, Status status) noexcept {
  if (closed) broken("on_closed came twice");
  if (in_payload_) broken("on_closed came before the on_eager that was owed");
  if (status.ok()) broken("on_closed without a reason");
  link = &from;
  closed = true;
  why = status;
}

void Peer::give_back_one(std::size_t index) noexcept {
  const Held held = std::move(held_[index]);
  held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
  if (held.loan.head.view() != Bytes(held.copy.data(), held.copy.size()).view())
    broken("a head changed while it was lent");
  link->give_back(held.loan);
}

void Peer::give_back_all() noexcept {
  while (!held_.empty()) give_back_one(dice_.below(held_.size()));
}

void Peer::release() noexcept {
  give_back_all();
  if (link == nullptr || !closed) return;
  Link* gone = link;
  link = nullptr;
  gone->release();
}

LinkEvents* Acceptor::on_link(Link& link) noexcept {
  if (refuse) return nullptr;
  peers.push_back(std::make_unique<Peer>(dice_));
  peers.back()->link = &link;
  peers.back()->take = take;
  return peers.back().get();
}

Sink Acceptor::on_head(Link& link, MessageLoan loan, std::uint64_t) noexcept {
  misused = true;
  link.give_back(loan);
  return {};
}

void Calls::arrived(Completion* done) noexcept {
  auto* call = static_cast<Call*>(done);
  ++call->arrivals;
  Calls& owner = *call->owner;
  if (!owner.fault.empty()) return;
  if (call->submitting) owner.fault = "a completion arrived inside the submitting call";
  if (call->finished_at_once) owner.fault = "a call finished at once and completed again";
  if (call->arrivals > 1) owner.fault = "a completion arrived twice";
}

std::size_t Calls::outstanding() const noexcept {
  return static_cast<std::size_t>(std::count_if(calls_.begin(), calls_.end(), [](const Call& c) { return !c.over(); }));
}

bool Calls::all_ok() const noexcept {
  return std::all_of(calls_.begin(), calls_.end(), [](const Call& call) { return call.over() && call.status.ok(); });
}

Task<Transport*> Stage::start(Result<GatedTransport> made) {
  if (!report.ok(made.status(), "make an instance")) co_return nullptr;
  Transport* transport = made->transport;
  if (SharedMemory* memory = factory.memory().shared; memory != nullptr) transport->offer(*memory);
  const Outcome started = co_await submit([&](Completion& done) { return transport->start(done); });
  if (report.ok(started.status, "start an instance")) co_return transport;
  transport->destroy();
  co_return nullptr;
}

Task<Transport*> Stage::start_one() {
  Result<Transport*> made = factory.make();
  Transport* started = nullptr;
  if (made.ok()) {
    started = co_await start(GatedTransport{*made, nullptr});
  } else {
    report.ok(made.status(), "make an instance");
  }
  co_return started;
}

Task<bool> Stage::listen() {
  Buffer bound(256);
  std::size_t size = 0;
  const std::string wanted = factory.listen_address();
  const Status listening = far_->listen(Text(wanted), acceptor, MutableBytes(bound.data(), bound.size()), &size);
  if (!report.ok(listening, "listen")) co_return false;
  address.assign(bound.begin(), bound.begin() + static_cast<std::ptrdiff_t>(size));
  co_return true;
}

Task<bool> Stage::open() {
  near_ = co_await start_one();
  far_ = co_await start_one();
  if (near_ == nullptr || far_ == nullptr) co_return false;
  const bool listening = co_await listen();
  co_return listening;
}

Task<bool> Stage::open_gated() {
  Result<GatedTransport> made = factory.make_gated();
  if (made.ok()) near_gate_ = made->gate;
  near_ = co_await start(std::move(made));
  if (near_ == nullptr) co_return false;
  const bool listening = co_await renew_far();
  co_return listening;
}

Task<bool> Stage::renew_far() {
  Result<GatedTransport> made = factory.make_gated();
  if (made.ok()) far_gate_ = made->gate;
  far_ = co_await start(std::move(made));
  if (far_ == nullptr) co_return false;
  const bool listening = co_await listen();
  co_return listening;
}

void Stage::kill_far() {
  far_gate_->kill();
  std::exchange(far_, nullptr)->destroy();
  for (auto& peer : acceptor.peers) peer->abandon();
}

Peer& Stage::add_peer() {
  peers_.push_back(std::make_unique<Peer>(dice));
  return *peers_.back();
}

Task<Pair> Stage::connect() {
  Pair pair;
  Peer* near = &add_peer();
  const std::size_t before = acceptor.peers.size();
  Link* link = nullptr;
  const Outcome done = co_await submit([&](Completion& c) { return near_->connect(Text(address), *near, &link, c); });
  if (!report.ok(done.status, "connect")) co_return pair;
  near->link = link;
  auto accepted = [&] { return acceptor.peers.size() > before; };
  const bool arrived = co_await eventually(accepted);
  if (!report.check(arrived && link != nullptr, "the listener hears of the link")) co_return pair;
  pair.near = near;
  pair.far = acceptor.peers.back().get();
  pair.near->other = pair.far;
  pair.far->other = pair.near;
  co_return pair;
}

Task<> Stage::finish(Pair pair) {
  if (!pair.near->closed) pair.near->link->close();
  auto both_closed = [&] { return pair.near->closed && pair.far->closed; };
  const bool ended = co_await eventually(both_closed);
  report.check(ended, "both ends hear that the link is closed");
  for (Peer* peer : {pair.near, pair.far}) {
    report.check(peer->fault.empty(), peer->fault.empty() ? "events of a link" : peer->fault);
    peer->release();
  }
}

Task<> Stage::stop(Transport* transport) {
  const Outcome stopped = co_await submit([&](Completion& done) { return transport->stop(done); });
  report.ok(stopped.status, "stop");
}

Task<> Stage::close() {
  if (spoiled) {
    for (auto& peer : peers_) peer->abandon();
    for (HostGate* gate : {near_gate_, far_gate_}) gate->kill();
    if (far_ != nullptr) kill_far();
    if (near_ != nullptr) std::exchange(near_, nullptr)->destroy();
    co_return;
  }
  for (auto& peer : peers_) peer->give_back_all();
  for (auto& peer : acceptor.peers) peer->give_back_all();
  if (near_ != nullptr) co_await stop(near_);
  if (far_ != nullptr) co_await stop(far_);
  release_and_destroy();
}

Task<> Stage::close_after_stop() {
  co_await stop(near_);
  release_and_destroy();
}

void Stage::release_and_destroy() {
  for (auto& peer : peers_) peer->release();
  for (auto& peer : acceptor.peers) peer->release();
  if (near_ != nullptr) near_->destroy();
  if (far_ != nullptr) far_->destroy();
  near_ = far_ = nullptr;
  report.check(!acceptor.misused, "events of a link come to the object that accepted it");
}

Task<Status> Stage::send(Peer& peer, Buffer& head, Buffer& eager) {
  const IoVec head_part = whole(head);
  const IoVec eager_part = whole(eager);
  Link* link = peer.link;
  const std::uint32_t eager_parts = eager.empty() ? 0 : 1;
  const Outcome done =
      co_await submit([&](Completion& c) { return link->send(&head_part, 1, &eager_part, eager_parts, c); });
  co_return done.status;
}

Task<bool> Stage::tell(Peer& owner, const RegionKey& key) {
  Buffer head(key.bytes, key.bytes + key.size);
  Buffer none;
  Peer& other = *owner.other;
  const std::size_t before = other.inbox.size();
  const Status sent = co_await send(owner, head, none);
  auto arrived = [&] { return other.inbox.size() > before; };
  const bool came = co_await eventually(arrived);
  if (!report.check(sent.ok() && came && other.inbox.back().head == head, "a key travels in a message"))
    co_return false;
  other.inbox.pop_back();
  co_return true;
}

Task<bool> Stage::works(Pair pair) {
  Peer* const ends[] = {pair.near, pair.far};
  for (Peer* from : ends) {
    Peer* to = from == pair.near ? pair.far : pair.near;
    if (from->closed || to->closed) co_return false;
    const std::size_t before = to->inbox.size();
    Buffer head = random_bytes(dice, 40);
    Buffer none;
    const Status sent = co_await send(*from, head, none);
    if (!sent.ok()) co_return false;
    auto arrived = [&] { return to->inbox.size() > before; };
    const bool came = co_await eventually(arrived);
    if (!came || to->inbox.back().head != head) co_return false;
    to->inbox.pop_back();
  }
  co_return true;
}

}  // namespace rideau::transport_suite
