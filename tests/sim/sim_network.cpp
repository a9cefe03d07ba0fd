// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_network.hpp"

#include "tests/sim/hooks.hpp"
#include "tests/sim/sim_link.hpp"

#include <cerrno>

namespace rideau::sim {

SimNetwork::SimNetwork(SimWorld& world, NetworkOptions options) : world_(world), options_(options) {}
SimNetwork::~SimNetwork() = default;

void SimNetwork::set_delays(std::uint64_t min_ns, std::uint64_t max_ns) noexcept {
  options_.delay_ns_min = min_ns;
  options_.delay_ns_max = max_ns;
}

void SimNetwork::cut(NodeId a, NodeId b) {
  for (const auto& [id, link] : links_) {
    const NodeId here = link->transport_.runtime().id();
    const bool between = (here == a && link->peer_node() == b) || (here == b && link->peer_node() == a);
    if (between) cut(*link);
  }
}

void SimNetwork::cut(SimLink& end) {
  if (end.cut_) return;
  end.cut_ = true;
  reset(end.id(), end.transport_.runtime().id(), {Code::closed, ECONNRESET, "link broke"});
}

bool SimNetwork::breaks_at(SimLink& sender) {
  if (cut_at_messages_.erase(messages_) == 0) return false;
  hit("link_cut_at_message");
  if (SimLink* peer = find(sender.peer())) cut(*peer);
  cut(sender);
  return true;
}

void SimNetwork::block(NodeId from, NodeId to) { blocked_.insert({from, to}); }

void SimNetwork::unblock(NodeId from, NodeId to) {
  blocked_.erase({from, to});
  const auto waiting = held_.find({from, to});
  if (waiting == held_.end()) return;
  const std::vector<Held> held = std::move(waiting->second);
  held_.erase(waiting);
  for (const Held& one : held) {
    if (SimLink* sender = find(one.from)) carry(*sender, true, 0, one.delivery);
  }
}

std::size_t SimNetwork::regions() const noexcept {
  std::size_t count = 0;
  for (const auto& [id, link] : links_) count += link->region_count();
  return count;
}

std::size_t SimNetwork::loans() const noexcept {
  std::size_t count = 0;
  for (const auto& [id, link] : links_) count += link->loan_count();
  return count;
}

std::uint64_t SimNetwork::delay() noexcept {
  Random& random = world_.random();
  const std::uint64_t extra = extra_delay_ns_ == 0 ? 0 : random.below(extra_delay_ns_);
  if (random.chance(options_.late_percent)) return extra + random.between(options_.delay_ns_min, options_.late_ns_max);
  return extra + random.between(options_.delay_ns_min, options_.delay_ns_max);
}

std::uint64_t SimNetwork::carry(SimLink& from, bool ordered, std::uint64_t not_before_ns, Delivery delivery) {
  if (from.cut_) return 0;
  const NodeId here = from.transport_.runtime().id();
  if (blocked(here, from.peer_node())) {
    held_[{here, from.peer_node()}].push_back({from.id(), std::move(delivery)});
    return 0;
  }
  std::uint64_t arrival = world_.now_ns() + delay();
  if (!ordered && bulk_delay_ns_ != 0) arrival += world_.random().below(bulk_delay_ns_);
  if (ordered) {
    if (arrival <= from.peer_arrival_ns_) arrival = from.peer_arrival_ns_ + 1;
    if (arrival <= not_before_ns) arrival = not_before_ns + 1;
    from.peer_arrival_ns_ = arrival;
  }
  const LinkId to = from.peer();
  world_.at(arrival, from.peer_node(), EventKind::network, [this, to, ordered, delivery = std::move(delivery)] {
    SimLink* receiver = find(to);
    const bool gone = receiver == nullptr || receiver->cut_;
    if (gone && !ordered) hit("late_bulk_refused");
    if (!gone) delivery(*receiver);
  });
  return arrival;
}

void SimNetwork::reset(LinkId end, NodeId node, Status why) {
  world_.at(world_.now_ns() + delay(), node, EventKind::network, [this, end, why] {
    if (SimLink* link = find(end)) link->end(why);
  });
}

SimLink* SimNetwork::find(LinkId id) const noexcept {
  const auto found = links_.find(id);
  return found == links_.end() ? nullptr : found->second;
}

SimTransport* SimNetwork::find_transport(std::uint64_t id) const noexcept {
  const auto found = transports_.find(id);
  return found == transports_.end() ? nullptr : found->second;
}

std::string SimNetwork::describe(Bytes head, NodeId from, NodeId to) const {
  return describe_ ? describe_(head, from, to) : "message of " + std::to_string(head.size) + " bytes";
}

}  // namespace rideau::sim
