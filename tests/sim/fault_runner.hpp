// SPDX-License-Identifier: Apache-2.0
// FaultRunner: does to a cluster what a plan says, heals it, and tells the workload what may go wrong through it.
#pragma once

#include "tests/sim/cluster.hpp"
#include "tests/sim/fault_plan.hpp"

#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace rideau::sim {

class FaultRunner {
 public:
  // The plan's times count from now on. Faults whose index is not in `only` are left out, unless it is empty.
  FaultRunner(SimWorld& world, Cluster& cluster, Workload& workload, const FaultPlan& plan,
              const std::set<std::uint32_t>& only);
  ~FaultRunner();
  FaultRunner(const FaultRunner&) = delete;
  FaultRunner& operator=(const FaultRunner&) = delete;

  // When the next thing is to be done; UINT64_MAX: nothing is.
  std::uint64_t next_ns() const noexcept;
  bool due() const noexcept { return next_ns() <= world_.now_ns(); }
  void step();
  // A server whose disk fails may not start: it is down then until the disk has healed.
  void give_up_starts();
  // Everything heals now, and nothing breaks any more. Nodes that sleep wake up at awake_ns() at the latest.
  void end();
  std::uint64_t awake_ns() const noexcept { return awake_ns_; }
  bool lost_a_client() const noexcept { return lost_a_client_; }

 private:
  struct Step {
    std::uint64_t time_ns;
    std::size_t fault;
    bool begins;
  };
  void begin(const Fault& fault);
  void heal(const Fault& fault);
  std::size_t any_node(std::uint64_t dice) const noexcept { return dice % cluster_.node_count(); }
  std::size_t any_server(std::uint64_t dice) const noexcept { return dice % cluster_.server_count(); }
  std::size_t any_client(std::uint64_t dice) const noexcept {
    return cluster_.server_count() + dice % (cluster_.node_count() - cluster_.server_count());
  }
  void break_link(const Fault& fault);
  void part(const Fault& fault);
  void join(const Fault& fault);
  void go_down(std::size_t server, bool power_cut);
  void come_up(std::size_t server);
  void make_disk_fail(const Fault& fault);
  void heal_disk(const Fault& fault);
  void set_slowness(const Fault& fault, std::uint32_t factor);
  void sleep(const Fault& fault);
  void stray(const Fault& fault);
  void kill_client(const Fault& fault);
  void black_out();
  void on_mark(std::string_view mark);

  SimWorld& world_;
  Cluster& cluster_;
  Workload& workload_;
  const FaultPlan plan_;
  std::vector<Step> steps_;  // by time
  std::size_t next_ = 0;
  std::uint64_t awake_ns_ = 0;
  std::vector<std::pair<NodeId, NodeId>> blocked_;
  bool recovering_ = false;
  bool lost_a_client_ = false;
  std::uint32_t disks_failing_ = 0;  // faults that make acknowledged writes fail
};

}  // namespace rideau::sim
