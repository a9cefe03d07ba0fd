// SPDX-License-Identifier: Apache-2.0
// The transport plugin "sim": listening, connecting, life and end.
#include "tests/sim/sim_link.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace rideau::sim {
namespace {

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  const auto* place = reinterpret_cast<const SimPlace*>(static_cast<std::uintptr_t>(values[0].integer));
  if (place == nullptr) return {Code::invalid, 0, "place of a simulated transport"};
  *out = static_cast<Transport*>(new SimTransport(host, *place));
  return kOk;
}

constexpr ConfigKey kKeys[] = {
    {"place", KeyType::integer, "", "", 0, 0, true, "address of the SimPlace of the node"},
};

}  // namespace

const PluginDescriptor kSimTransportDescriptor{
    sizeof(PluginDescriptor), PluginKind::transport, "sim", "1", "the simulated network", 0, kKeys, 1, 0, &create};

SimTransport::SimTransport(Host& host, SimPlace place)
    : host_(host), network_(*place.network), runtime_(*place.runtime), id_(network_.next_id_++) {
  network_.transports_[id_] = this;
}

// Without stop() it is a power cut: the peers hear of it, nobody here does.
SimTransport::~SimTransport() {
  for (const auto& [id, link] : links_) {
    if (!link->quiet()) network_.reset(link->peer(), link->peer_node(), {Code::closed, ECONNRESET, "the peer is gone"});
  }
  links_.clear();
  network_.transports_.erase(id_);
  for (auto at = network_.listeners_.begin(); at != network_.listeners_.end();) {
    at = at->second.transport == id_ ? network_.listeners_.erase(at) : std::next(at);
  }
}

Submitted SimTransport::start(Completion& done) noexcept { return done.finish(kOk); }

Submitted SimTransport::stop(Completion& done) noexcept {
  for (auto at = network_.listeners_.begin(); at != network_.listeners_.end();) {
    at = at->second.transport == id_ ? network_.listeners_.erase(at) : std::next(at);
  }
  for (const auto& [attempt, connecting] : connecting_) {
    host_.complete(*connecting.done, {Code::closed, 0, "connect"}, 0);
  }
  connecting_.clear();
  for (const auto& [id, link] : links_) link->close();
  if (quiet()) return done.finish(kOk);
  stopping_ = &done;
  return Submitted::pending;
}

bool SimTransport::quiet() const noexcept {
  return std::all_of(links_.begin(), links_.end(), [](const auto& entry) { return entry.second->quiet(); });
}

void SimTransport::check_stopped() {
  if (stopping_ == nullptr || !quiet()) return;
  host_.complete(*std::exchange(stopping_, nullptr), kOk, 0);
}

void SimTransport::cancel(Completion& pending) noexcept {
  for (auto at = connecting_.begin(); at != connecting_.end(); ++at) {
    if (at->second.done != &pending) continue;
    connecting_.erase(at);
    host_.complete(pending, {Code::cancelled, 0, "connect"}, 0);
    return;
  }
  for (const auto& [id, link] : links_) {
    if (!link->withdraw(pending)) continue;
    host_.complete(pending, {Code::cancelled, 0, "send or bulk"}, 0);
    return;
  }
}

void SimTransport::destroy() noexcept { delete this; }

Status SimTransport::listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept {
  std::string name(address.view());
  const std::size_t colon = name.rfind(':');
  if (colon == std::string::npos || colon + 1 == name.size()) return {Code::invalid, 0, "listen: host:port"};
  if (name.substr(colon) == ":0") name = name.substr(0, colon + 1) + std::to_string(49'152 + network_.next_port_++);
  if (network_.listeners_.count(name) != 0) return {Code::exists, EADDRINUSE, "listen"};
  if (name.size() > bound.size) return {Code::too_large, 0, "listen: the bound address"};
  std::memcpy(bound.data, name.data(), name.size());
  *bound_size = name.size();
  network_.listeners_[name] = {id_, &events};
  return kOk;
}

Submitted SimTransport::connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept {
  const std::uint64_t attempt = next_attempt_++;
  connecting_[attempt] = {&events, out, &done};
  SimNetwork& network = network_;
  SimWorld& world = network.world();
  const NodeId here = runtime_.id();
  const std::uint64_t mine = id_;
  std::uint64_t limit = network.options().connect_timeout_ns;
  const std::uint64_t now = host_.now_ns();
  if (done.deadline_ns != 0) limit = std::min(limit, done.deadline_ns > now ? done.deadline_ns - now : 0);
  world.at(world.now_ns() + limit, here, EventKind::network, [&network, mine, attempt] {
    SimTransport* self = network.find_transport(mine);
    if (self != nullptr) self->refused(attempt, {Code::timed_out, ETIMEDOUT, "connect"});
  });
  // Whoever listens there when the request arrives decides; an address that nobody has is answered by its machine.
  world.at(world.now_ns() + network.delay(), kNoNode, EventKind::network,
           [&network, name = std::string(address.view()), here, mine, attempt] {
             accept(network, name, here, mine, attempt);
           });
  return Submitted::pending;
}

void SimTransport::accept(SimNetwork& network, const std::string& address, NodeId from, std::uint64_t transport,
                          std::uint64_t attempt) {
  SimWorld& world = network.world();
  const auto found = network.listeners_.find(address);
  SimTransport* listener =
      found == network.listeners_.end() ? nullptr : network.find_transport(found->second.transport);
  if (listener != nullptr && (listener->runtime_.dead() || network.blocked(from, listener->runtime_.id()) ||
                              network.blocked(listener->runtime_.id(), from))) {
    return;  // silence; the caller's timeout ends it
  }
  const std::uint64_t answer_ns = world.now_ns() + network.delay();
  if (listener == nullptr) {
    world.at(answer_ns, from, EventKind::network, [&network, transport, attempt] {
      SimTransport* caller = network.find_transport(transport);
      if (caller != nullptr) caller->refused(attempt, {Code::refused, ECONNREFUSED, "connect"});
    });
    return;
  }
  const LinkId theirs = network.next_id_++;
  const LinkId ours = network.next_id_++;
  const NodeId node = listener->runtime_.id();
  world.at(answer_ns, from, EventKind::network, [&network, transport, attempt, theirs, ours, node] {
    SimTransport* caller = network.find_transport(transport);
    if (caller != nullptr) {
      caller->connected(attempt, theirs, ours, node);
    } else {
      network.reset(ours, node, {Code::closed, ECONNRESET, "the peer is gone"});
    }
  });
  world.at(world.now_ns(), node, EventKind::network, [&network, address, from, theirs, ours, answer_ns] {
    const auto still = network.listeners_.find(address);
    SimTransport* self = still == network.listeners_.end() ? nullptr : network.find_transport(still->second.transport);
    if (self == nullptr) return;
    SimLink& link = self->add_link(ours, theirs, from);
    link.peer_arrival_ns_ = answer_ns;
    LinkEvents* events = still->second.events->on_link(link);
    if (events == nullptr) {
      self->remove_link(ours);
      return;
    }
    link.set_events(*events);
    link.open_soon();
  });
}

void SimTransport::connected(std::uint64_t attempt, LinkId mine, LinkId theirs, NodeId node) {
  const auto found = connecting_.find(attempt);
  const Status gone{Code::closed, ECONNRESET, "the peer is gone"};
  if (found == connecting_.end()) {
    network_.reset(theirs, node, gone);
    return;
  }
  const Connecting connecting = found->second;
  connecting_.erase(found);
  SimLink& link = add_link(mine, theirs, node);
  link.set_events(*connecting.events);
  *connecting.out = &link;
  host_.complete(*connecting.done, kOk, 0);
  link.open_soon();
  // The other end may have been cut, or be gone, while the answer was on its way.
  const SimLink* other = network_.find(theirs);
  if (other == nullptr || other->cut_) network_.reset(mine, runtime_.id(), gone);
}

void SimTransport::refused(std::uint64_t attempt, Status why) {
  const auto found = connecting_.find(attempt);
  if (found == connecting_.end()) return;
  Completion& done = *found->second.done;
  connecting_.erase(found);
  host_.complete(done, why, 0);
}

SimLink& SimTransport::add_link(LinkId id, LinkId peer, NodeId peer_node) {
  auto& slot = links_[id];
  slot = std::make_unique<SimLink>(*this, id, peer, peer_node);
  return *slot;
}

void SimTransport::remove_link(LinkId id) {
  links_.erase(id);
  check_stopped();
}

}  // namespace rideau::sim
