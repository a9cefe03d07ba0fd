// SPDX-License-Identifier: Apache-2.0
// One end of a simulated link and the transport that owns it. Private to the simulated network.
#pragma once

#include "tests/sim/sim_network.hpp"

#include <optional>

namespace rideau::sim {

struct SimMessage {
  std::vector<std::uint64_t> head;  // whole words: aligned as the interface promises
  std::size_t head_bytes = 0;
  std::vector<std::uint8_t> eager;
};

class SimRegion final : public Region {
 public:
  std::vector<IoVec> parts;
  std::uint32_t access = 0;
  std::uint64_t size = 0;
  std::uint64_t key = 0;
  bool reclaiming = false;
};

class SimLink final : public Link {
 public:
  SimLink(SimTransport& transport, LinkId id, LinkId peer, NodeId peer_node);
  virtual ~SimLink();

  Submitted send(const IoVec* head, std::uint32_t head_parts, const IoVec* eager, std::uint32_t eager_parts,
                 Completion& done) noexcept override;
  void give_back(MessageLoan loan) noexcept override;
  Status lend(const IoVec* parts, std::uint32_t part_count, std::uint32_t access, Region** out,
              RegionKey* key) noexcept override;
  Submitted reclaim(Region& region, Completion& done) noexcept override;
  Submitted pull(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                 Completion& done) noexcept override;
  Submitted push(const RegionKey& key, std::uint64_t remote_offset, const IoVec* local, std::uint32_t parts,
                 Completion& done) noexcept override;
  void close() noexcept override;
  void release() noexcept override;

  void set_events(LinkEvents& events) noexcept { events_ = &events; }
  // Deliveries begin after what was completed so far has resumed.
  void open_soon();
  // The other end is gone, or the network broke the link.
  void end(Status why);

  // Arrivals from the other end.
  void arrive(std::shared_ptr<SimMessage> message);
  void land_push(std::uint64_t key, std::uint64_t offset, const std::vector<std::uint8_t>& bytes);
  void answer_pull(std::uint64_t pull, std::uint64_t key, std::uint64_t offset, std::uint64_t size);
  void land_pull(std::uint64_t pull, Status status, const std::vector<std::uint8_t>& bytes);

  LinkId id() const noexcept { return id_; }
  LinkId peer() const noexcept { return peer_; }
  NodeId peer_node() const noexcept { return peer_node_; }
  bool quiet() const noexcept { return told_closed_ && loans_.empty() && reclaiming_ == 0; }
  std::size_t region_count() const noexcept { return regions_.size(); }
  std::size_t loan_count() const noexcept { return loans_.size(); }
  // Takes a pending call out of the queues, which is then the caller's to complete.
  bool withdraw(Completion& pending) noexcept;

 private:
  struct Send {
    const IoVec* head;
    std::uint32_t head_parts;
    const IoVec* eager;
    std::uint32_t eager_parts;
    Completion* done;
  };
  struct Bulk {
    std::uint64_t key = 0;
    std::uint64_t offset = 0;
    const IoVec* local = nullptr;
    std::uint32_t parts = 0;
    std::uint64_t size = 0;
    Completion* done = nullptr;
  };
  struct Own : Completion {
    SimLink* link = nullptr;
  };

  void transmit(const Send& send);
  void pump_soon();
  void pump();
  void finish_push(std::uint64_t push);
  void deliver_inbox();
  void end_eager();
  void tell_closed();
  SimRegion* region(std::uint64_t key) const noexcept;
  void at(std::uint64_t delay_ns, std::function<void(SimLink&)> action);
  void mix(const char* what, const void* bytes, std::size_t size, const std::string& text);

  SimTransport& transport_;
  SimNetwork& network_;
  const LinkId id_;
  const LinkId peer_;
  const NodeId peer_node_;
  LinkEvents* events_ = nullptr;
  bool ended_ = false;  // by close() or by the network
  bool told_closed_ = false;
  Status why_{};
  Own opened_;
  Own closed_;
  bool opened_queued_ = false;
  bool closed_queued_ = false;

  std::deque<Send> sends_;
  bool pump_queued_ = false;
  std::uint64_t not_before_ns_ = 0;  // messages sent from now on arrive after that: completed pushes landed then
  std::map<std::uint64_t, Bulk> pushes_;
  std::map<std::uint64_t, Bulk> pulls_;
  std::uint64_t next_bulk_ = 1;

  bool open_ = false;
  std::deque<std::shared_ptr<SimMessage>> inbox_;
  std::shared_ptr<SimMessage> eager_of_;  // whose payload is on its way to sink_
  Sink sink_{};
  std::map<std::uint64_t, std::shared_ptr<SimMessage>> loans_;
  std::uint64_t next_loan_ = 1;
  std::map<std::uint64_t, std::unique_ptr<SimRegion>> regions_;
  std::size_t reclaiming_ = 0;

  friend class SimNetwork;
  friend class SimTransport;
  std::uint64_t peer_arrival_ns_ = 0;  // when the last ordered thing sent from here arrives at the peer
  bool cut_ = false;                   // nothing passes any more
};

class SimTransport final : public Transport {
 public:
  SimTransport(Host& host, SimPlace place);

  Submitted start(Completion& done) noexcept override;
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;
  TransportLimits limits() const noexcept override { return network_.options().limits; }
  Status listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept override;
  Submitted connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept override;

  Host& host() noexcept { return host_; }
  SimNetwork& network() noexcept { return network_; }
  SimRuntime& runtime() noexcept { return runtime_; }
  SimWorld& world() noexcept { return network_.world(); }
  SimLink& add_link(LinkId id, LinkId peer, NodeId peer_node);
  void remove_link(LinkId id);
  void check_stopped();

 private:
  friend class SimNetwork;
  struct Connecting {
    LinkEvents* events;
    Link** out;
    Completion* done;
  };
  ~SimTransport();
  bool quiet() const noexcept;
  // At the listener's node: makes both ends, or none.
  static void accept(SimNetwork& network, const std::string& address, NodeId from, std::uint64_t transport,
                     std::uint64_t attempt);
  void connected(std::uint64_t attempt, LinkId mine, LinkId theirs, NodeId node);
  void refused(std::uint64_t attempt, Status why);

  Host& host_;
  SimNetwork& network_;
  SimRuntime& runtime_;
  const std::uint64_t id_;
  std::map<LinkId, std::unique_ptr<SimLink>> links_;
  std::map<std::uint64_t, Connecting> connecting_;
  std::uint64_t next_attempt_ = 1;
  Completion* stopping_ = nullptr;
};

}  // namespace rideau::sim
