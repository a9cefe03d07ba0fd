// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/fault_runner.hpp"

#include "tests/sim/hooks.hpp"

#include <algorithm>

namespace rideau::sim {
namespace {

constexpr std::size_t kMetaServer = 0;

}  // namespace

FaultRunner::FaultRunner(SimWorld& world, Cluster& cluster, Workload& workload, const FaultPlan& plan,
                         const std::set<std::uint32_t>& only)
    : world_(world), cluster_(cluster), workload_(workload), plan_(plan) {
  for (std::uint32_t i = 0; i < plan_.faults.size(); ++i) {
    if (!only.empty() && only.count(i) == 0) continue;
    const Fault& fault = plan_.faults[i];
    world_.trace(kNoNode, "planned fault %u: %s", i, to_text(fault).c_str());
    steps_.push_back({world_.now_ns() + fault.begin_ns, i, true});
    if (fault.end_ns != fault.begin_ns) steps_.push_back({world_.now_ns() + fault.end_ns, i, false});
  }
  std::stable_sort(steps_.begin(), steps_.end(), [](const Step& a, const Step& b) { return a.time_ns < b.time_ns; });
  set_mark_listener([this](std::string_view mark) { on_mark(mark); });
}

FaultRunner::~FaultRunner() { set_mark_listener({}); }

std::uint64_t FaultRunner::next_ns() const noexcept {
  return next_ < steps_.size() ? steps_[next_].time_ns : UINT64_MAX;
}

void FaultRunner::step() {
  const Step now = steps_[next_++];
  const Fault& fault = plan_.faults[now.fault];
  world_.trace(kNoNode, "fault %zu %s: %s", now.fault, now.begins ? "begins" : "ends", fault_name(fault.kind));
  if (now.begins) {
    begin(fault);
  } else {
    heal(fault);
  }
}

void FaultRunner::give_up_starts() {
  const Trouble& trouble = workload_.trouble();
  if (!trouble.bytes_fail && !trouble.names_fail && !trouble.no_space && !trouble.bytes_rot) return;
  for (std::size_t i = 0; i < cluster_.server_count(); ++i) {
    if (cluster_.is_up(i) && cluster_.start_failed(i)) go_down(i, false);
  }
}

void FaultRunner::end() {
  std::vector<std::size_t> begun;
  for (std::size_t i = 0; i < next_; ++i) {
    if (steps_[i].begins) begun.push_back(steps_[i].fault);
  }
  for (; next_ < steps_.size(); ++next_) {
    const Step& step = steps_[next_];
    if (!step.begins && std::count(begun.begin(), begun.end(), step.fault) != 0) heal(plan_.faults[step.fault]);
  }
  for (std::size_t i = 0; i < cluster_.server_count(); ++i) come_up(i);
  cluster_.network().forget_cuts();
  workload_.trouble().healed = true;
}

void FaultRunner::begin(const Fault& fault) {
  Trouble& trouble = workload_.trouble();
  const std::uint64_t dice = fault.dice[1];
  switch (fault.kind) {
    case FaultKind::links:
      return break_link(fault);
    case FaultKind::partitions:
      return part(fault);
    case FaultKind::delays:
      return cluster_.network().set_extra_delay(kMillisecond << dice % 9);
    case FaultKind::bulk:
      return cluster_.network().set_bulk_delay(kMillisecond << dice % 12);
    case FaultKind::pauses:
      return sleep(fault);
    case FaultKind::kills:
      return go_down(any_server(fault.dice[0]), false);
    case FaultKind::power:
      return go_down(any_server(fault.dice[0]), true);
    case FaultKind::machines:
      kill_client(fault);
      return go_down(any_server(fault.dice[2]), true);
    case FaultKind::slow:
      trouble.disks_lag = true;
      return set_slowness(fault, 2u << dice % 8);
    case FaultKind::full: {
      trouble.no_space = trouble.disks_lag = true;
      ++disks_failing_;
      workload_.begin_losing();
      Cluster::Disk& disk = cluster_.disk(any_server(fault.dice[0]));
      if (dice % 3 != 0) disk.index.set_full(true);
      if (dice % 3 != 1) disk.objects.set_full(true);
      return;
    }
    case FaultKind::errors:
      return make_disk_fail(fault);
    case FaultKind::rot: {
      trouble.bytes_rot = true;
      workload_.lose_for_good();
      Cluster::Disk& disk = cluster_.disk(1 + fault.dice[0] % (cluster_.server_count() - 1));
      static_cast<void>(cluster_.on_blocks() ? disk.device.flip_bit(dice) : disk.objects.flip_bit(dice));
      return;
    }
    case FaultKind::clocks: {
      constexpr std::uint64_t kDay = 86'400 * kSecond;
      SimRuntime* node = cluster_.node(any_node(fault.dice[0]));
      const auto by = static_cast<std::int64_t>(fault.dice[2] % (dice % 2 == 0 ? kDay : 10 * kSecond));
      if (node != nullptr) node->set_wall(dice % 4 < 2 ? by : -by);
      return;
    }
    case FaultKind::clients:
      return kill_client(fault);
    case FaultKind::blackouts:
      return black_out();
    case FaultKind::strays:
      return stray(fault);
    case FaultKind::count:
      return;
  }
}

void FaultRunner::heal(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::partitions:
    case FaultKind::strays:
      return join(fault);
    case FaultKind::delays:
      return cluster_.network().set_extra_delay(0);
    case FaultKind::bulk:
      // What is still on its way lands when its link is gone.
      break_link(fault);
      return cluster_.network().set_bulk_delay(0);
    case FaultKind::kills:
    case FaultKind::power:
      return come_up(any_server(fault.dice[0]));
    case FaultKind::machines:
      return come_up(any_server(fault.dice[2]));
    case FaultKind::slow:
      return set_slowness(fault, 1);
    case FaultKind::full:
      return heal_disk(fault);
    case FaultKind::errors:
      heal_disk(fault);
      // A target whose index or flush failed has stopped: somebody starts it again.
      if (fault.dice[1] % 3 == 0) return;
      go_down(any_server(fault.dice[0]), false);
      return come_up(any_server(fault.dice[0]));
    default:
      return;
  }
}

void FaultRunner::heal_disk(const Fault& fault) {
  Cluster::Disk& disk = cluster_.disk(any_server(fault.dice[0]));
  disk.index.heal();
  disk.objects.heal();
  disk.device.heal();
  if (--disks_failing_ == 0) workload_.end_losing();
}

void FaultRunner::set_slowness(const Fault& fault, std::uint32_t factor) {
  Cluster::Disk& disk = cluster_.disk(any_server(fault.dice[0]));
  disk.index.set_slowness(factor);
  disk.objects.set_slowness(factor);
  disk.device.set_slowness(factor);
}

void FaultRunner::break_link(const Fault& fault) {
  if (fault.dice[2] % 2 == 0) return cluster_.network().cut_at_message(fault.dice[1] % 64);
  const SimRuntime* a = cluster_.node(any_node(fault.dice[0]));
  const SimRuntime* b = cluster_.node(any_server(fault.dice[1]));
  if (a != nullptr && b != nullptr && a != b) cluster_.network().cut(a->id(), b->id());
}

// One node and another, or one node and all others.
void FaultRunner::part(const Fault& fault) {
  const std::size_t one = any_node(fault.dice[0]);
  const SimRuntime* here = cluster_.node(one);
  if (here == nullptr) return;
  for (std::size_t other = 0; other < cluster_.node_count(); ++other) {
    const SimRuntime* there = cluster_.node(other);
    const bool meant = fault.dice[1] % 3 == 0 || other == any_server(fault.dice[1] / 3);
    if (there == nullptr || other == one || !meant) continue;
    const std::uint64_t way = fault.dice[2] % 4;
    if (way != 0) blocked_.emplace_back(here->id(), there->id());
    if (way != 1) blocked_.emplace_back(there->id(), here->id());
  }
  for (const auto& [from, to] : blocked_) cluster_.network().block(from, to);
}

void FaultRunner::stray(const Fault& fault) {
  SimRuntime* client = cluster_.node(any_client(fault.dice[0]));
  const SimRuntime* server = cluster_.node(kMetaServer);
  if (client == nullptr || server == nullptr) return;
  blocked_.emplace_back(client->id(), server->id());
  blocked_.emplace_back(server->id(), client->id());
  for (const auto& [from, to] : blocked_) cluster_.network().block(from, to);
  const std::uint64_t ns = fault.end_ns - fault.begin_ns - kStrayAwakeNs;
  client->pause(ns);
  awake_ns_ = std::max(awake_ns_, world_.now_ns() + ns);
}

// Of all partitions at once: whoever was parted by two is together again with the end of the first.
void FaultRunner::join(const Fault&) {
  for (const auto& [from, to] : std::exchange(blocked_, {})) cluster_.network().unblock(from, to);
}

void FaultRunner::go_down(std::size_t server, bool power_cut) {
  if (!cluster_.is_up(server)) return;
  if (server == kMetaServer) {
    if (recovering_) hit("server_killed_in_recovery");
    recovering_ = false;
    workload_.trouble().meta_deaths_ns.push_back(world_.now_ns());
  }
  cluster_.kill_server(server, power_cut);
}

void FaultRunner::come_up(std::size_t server) {
  if (!cluster_.is_up(server)) cluster_.restart_server(server);
}

void FaultRunner::make_disk_fail(const Fault& fault) {
  Trouble& trouble = workload_.trouble();
  const std::size_t server = any_server(fault.dice[0]);
  Cluster::Disk& disk = cluster_.disk(server);
  trouble.disks_lag = true;
  trouble.bytes_fail = trouble.bytes_fail || server != kMetaServer;
  ++disks_failing_;
  workload_.begin_losing();
  switch (fault.dice[1] % 3) {
    case 0: {
      const auto count = static_cast<std::uint32_t>(1 + fault.dice[2] % 4);
      disk.objects.fail_next_calls(count);
      disk.device.fail_next_calls(count);
      return;
    }
    case 1:
      trouble.names_fail = trouble.names_fail || server == kMetaServer;
      disk.index.fail_next_commit();
      return;
    default:
      disk.objects.fail_next_flush();
      return;
  }
}

void FaultRunner::sleep(const Fault& fault) {
  SimRuntime* node = cluster_.node(any_node(fault.dice[0]));
  if (node == nullptr) return;
  node->pause(fault.end_ns - fault.begin_ns);
  awake_ns_ = std::max(awake_ns_, world_.now_ns() + fault.end_ns - fault.begin_ns);
}

void FaultRunner::kill_client(const Fault& fault) {
  const std::size_t number = any_client(fault.dice[0]);
  const SimRuntime* node = cluster_.node(number);
  if (node == nullptr) return;
  const std::string name = world_.node_name(node->id());
  cluster_.kill_client(number, fault.dice[1] % 2 == 0);
  lost_a_client_ = true;
  workload_.lose_mount(name);
}

void FaultRunner::black_out() {
  for (std::size_t i = 0; i < cluster_.server_count(); ++i) go_down(i, true);
  for (std::size_t i = cluster_.server_count(); i < cluster_.node_count(); ++i) {
    const SimRuntime* node = cluster_.node(i);
    if (node == nullptr) continue;
    const std::string name = world_.node_name(node->id());
    cluster_.kill_client(i, true);
    workload_.lose_mount(name);
  }
  lost_a_client_ = true;
}

void FaultRunner::on_mark(std::string_view mark) {
  if (mark == "recovery_began") recovering_ = true;
  if (mark == "recovery_ended") recovering_ = false;
  // What was on its way to an object target nobody knows of.
  if (mark == "client_came_back_ended") workload_.lose_objects();
  if (mark == "client_lost_its_session") workload_.lose_session(world_.node_name(world_.current()));
}

}  // namespace rideau::sim
