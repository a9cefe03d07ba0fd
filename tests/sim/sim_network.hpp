// SPDX-License-Identifier: Apache-2.0
// SimNetwork: the network of a simulated cluster, and the transport plugin "sim" that nodes reach it through. Messages
// of a link arrive in order after a random delay; bulk travels beside them and may land late. Links can be cut and
// nodes parted, one way or both.
#pragma once

#include "rideau/sdk.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace rideau::sim {

class SimLink;
class SimTransport;

using LinkId = std::uint64_t;

struct NetworkOptions {
  std::uint64_t delay_ns_min = 5 * kMicrosecond;
  std::uint64_t delay_ns_max = 200 * kMicrosecond;
  std::uint32_t late_percent = 5;  // of transfers that take up to late_ns_max instead
  std::uint64_t late_ns_max = 5 * kMillisecond;
  std::uint64_t connect_timeout_ns = 3 * kSecond;
  TransportLimits limits{1u << 20, 64u << 10, 1024, 64u << 20};
};

class SimNetwork {
 public:
  explicit SimNetwork(SimWorld& world, NetworkOptions options = {});
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // Faults. Nodes are told apart by the id of their runtime.
  // Every link between the two breaks; what was under way is lost, and each side hears of it some time later.
  void cut(NodeId a, NodeId b);
  // While blocked, nothing that `from` sends reaches `to`; it is delivered when the way is open again, unless the link
  // has ended meanwhile.
  void block(NodeId from, NodeId to);
  void unblock(NodeId from, NodeId to);
  bool blocked(NodeId from, NodeId to) const noexcept { return blocked_.count({from, to}) != 0; }
  void set_delays(std::uint64_t min_ns, std::uint64_t max_ns) noexcept;
  // Everything takes up to so much longer; 0: no longer.
  void set_extra_delay(std::uint64_t max_ns) noexcept { extra_delay_ns_ = max_ns; }
  // Bulk takes up to so much longer than messages; 0: no longer.
  void set_bulk_delay(std::uint64_t max_ns) noexcept { bulk_delay_ns_ = max_ns; }
  // The link that carries the message of that number, counted from now on, breaks with it; 0: the next one. The message
  // is lost.
  void cut_at_message(std::uint64_t number) { cut_at_messages_.insert(messages_ + number); }
  void forget_cuts() { cut_at_messages_.clear(); }

  // What is still open or lent: all zero after an orderly end.
  std::size_t links() const noexcept { return links_.size(); }
  std::size_t regions() const noexcept;
  std::size_t loans() const noexcept;
  std::uint64_t messages() const noexcept { return messages_; }
  std::uint64_t bulk_bytes() const noexcept { return bulk_bytes_; }

  // How a head is shown in a trace; without it, only its size.
  using Describe = std::function<std::string(Bytes head, NodeId from, NodeId to)>;
  void set_describe(Describe describe) { describe_ = std::move(describe); }

  SimWorld& world() noexcept { return world_; }
  const NetworkOptions& options() const noexcept { return options_; }

 private:
  friend class SimLink;
  friend class SimTransport;

  using Delivery = std::function<void(SimLink&)>;
  struct Listener {
    std::uint64_t transport;  // id
    LinkEvents* events;
  };
  struct Held {
    LinkId from;
    Delivery delivery;
  };

  std::uint64_t delay() noexcept;
  // Brings something to the other end of a link. Ordered: after everything ordered that was sent before, and after
  // `not_before_ns`. Returns when it will arrive (0: the way is blocked).
  std::uint64_t carry(SimLink& from, bool ordered, std::uint64_t not_before_ns, Delivery delivery);
  void cut(SimLink& end);
  // Whether the link ends with the message that is sent now.
  bool breaks_at(SimLink& sender);
  // Ends one side of a link after a while, as its peer is gone.
  void reset(LinkId end, NodeId node, Status why);
  SimLink* find(LinkId id) const noexcept;
  SimTransport* find_transport(std::uint64_t id) const noexcept;
  std::string describe(Bytes head, NodeId from, NodeId to) const;

  SimWorld& world_;
  NetworkOptions options_;
  std::map<LinkId, SimLink*> links_;
  std::map<std::uint64_t, SimTransport*> transports_;
  std::map<std::string, Listener, std::less<>> listeners_;
  std::set<std::pair<NodeId, NodeId>> blocked_;
  std::map<std::pair<NodeId, NodeId>, std::vector<Held>> held_;
  Describe describe_;
  std::uint64_t next_id_ = 1;
  std::uint64_t next_port_ = 1;
  std::uint64_t messages_ = 0;
  std::uint64_t extra_delay_ns_ = 0;
  std::uint64_t bulk_delay_ns_ = 0;
  std::set<std::uint64_t> cut_at_messages_;
  std::uint64_t bulk_bytes_ = 0;
};

// What the plugin "sim" is created with, through its one key: the address of such a struct, in decimal.
struct SimPlace {
  SimNetwork* network = nullptr;
  SimRuntime* runtime = nullptr;
};
extern const PluginDescriptor kSimTransportDescriptor;

}  // namespace rideau::sim
