// SPDX-License-Identifier: Apache-2.0
// `rideau status`: every node of the file: role, up or not, capacity, versions. Exit status 1 when one is missing.
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control_client.hpp"
#include "plugins/tools/mount_table.hpp"
#include "plugins/tools/probe.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/rough_size.hpp"
#include "plugins/tools/setup.hpp"

#include "framework/base/version.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <utility>

#include <nlohmann/json.hpp>

namespace rideau::tools {
namespace {

// What the nodes of this machine tell through their control sockets.
struct LocalNode {
  std::string node;
  std::string metrics;  // address; empty: none
};
struct ClientSession {
  std::string client;
  std::string name;
  std::string node;  // where it has this session
  std::uint32_t target = 0;
  bool connected = false;
};
struct LocalFacts {
  std::vector<LocalNode> nodes;
  std::vector<ClientSession> sessions;  // at metadata targets
  std::vector<std::string> evictions;   // a record each
  std::vector<std::string> recoveries;  // nodes that wait for their clients, and how far they are

  std::string metrics_of(const std::string& node) const {
    for (const LocalNode& local : nodes) {
      if (local.node == node) return local.metrics;
    }
    return {};
  }
};

LocalFacts local_facts(const ClusterConfig& cluster) {
  LocalFacts facts;
  for (const std::string& node : local_nodes(cluster, "")) {
    const ControlAnswer answer = ask_node(cluster.folder, node, "GET", "/node", {}, 1000);
    const nlohmann::json told = answer.ok() ? nlohmann::json::parse(answer.body, nullptr, false) : nlohmann::json();
    if (!told.is_object()) continue;
    facts.nodes.push_back({node, told.value("metrics", "")});
    for (const nlohmann::json& record : told.value("evictions", nlohmann::json::array()))
      facts.evictions.push_back(record);
    if (const std::string recovery = told.value("recovery", ""); !recovery.empty()) {
      facts.recoveries.push_back(node + ": " + recovery);
    }
    const NodeConfig* config = cluster.find(node);
    if (config == nullptr || !config->has(Role::mds)) continue;
    for (const nlohmann::json& session : told["sessions"]) {
      const std::uint32_t target = session.value("target", 0u);
      for (const TargetConfig& known : config->targets) {
        if (known.id != target || known.role != Role::mds) continue;
        facts.sessions.push_back(
            {session.value("client", ""), session.value("name", ""), node, target, session.value("connected", false)});
      }
    }
  }
  return facts;
}

struct ClientHealth {
  std::string node;
  bool up = false;
  std::string mount_point;
  pid_t process = 0;
};

std::vector<ClientHealth> clients_of(const ClusterConfig& cluster) {
  std::vector<ClientHealth> clients;
  for (const NodeConfig& node : cluster.nodes) {
    if (!node.has(Role::client)) continue;
    ClientHealth health;
    health.node = node.name;
    if (const auto process = living_process(pid_path(cluster.folder, node.name))) {
      health.process = process->pid;
      health.mount_point = process->detail;
      // The mount itself is not asked: it may wait for the very server that is missing.
      health.up = !health.mount_point.empty() && is_mounted(health.mount_point);
      if (!node.targets.empty() && !health.up) health.mount_point.clear();  // the file tells where it listens
    }
    clients.push_back(health);
  }
  return clients;
}

using Drain = fs::StatFileSystemReply::Drain;

// What becomes of object targets, as far as a metadata server answers.
std::map<std::uint32_t, Drain> drains_of(const std::vector<TargetHealth>& targets) {
  std::map<std::uint32_t, Drain> drains;
  for (const TargetHealth& health : targets) {
    for (const Drain& drain : health.drains) drains[drain.target] = drain;
  }
  return drains;
}

// Percents of all objects that lie on a target.
std::uint64_t share_of(const TargetHealth& one, const std::vector<TargetHealth>& targets) {
  std::uint64_t all = 0;
  for (const TargetHealth& health : targets) all += health.objects;
  return all == 0 ? 0 : (100 * one.objects + all / 2) / all;
}

std::string drain_text(const Drain& drain) {
  if (drain.state != fs::DrainState::draining) return std::string("; ") + fs::drain_state_name(drain.state);
  std::string text = "; draining: " + std::to_string(drain.files_left) + " files left, " +
                     std::to_string(drain.files_moved) + " moved (" + rough_size(drain.bytes_moved) + ")";
  if (!drain.problem.empty()) text += ", waiting: " + drain.problem;
  return text;
}

std::string capacity_text(const TargetHealth& health, const std::vector<TargetHealth>& targets) {
  if (!health.up) return health.problem;
  if (health.role == Role::mds) {
    return std::to_string(health.inodes_used) + " inodes, room for " + std::to_string(health.inodes_free);
  }
  const std::uint64_t used = health.bytes_total - std::min(health.bytes_free, health.bytes_total);
  return rough_size(used) + " used, " + rough_size(health.bytes_free) + " free of " + rough_size(health.bytes_total) +
         ", " + std::to_string(health.objects) + " objects (" + std::to_string(share_of(health, targets)) + " %)";
}

void print_text(const ClusterConfig& cluster, const std::vector<TargetHealth>& targets,
                const std::vector<ClientHealth>& clients, const LocalFacts& facts) {
  std::printf("cluster %s (%s)\n", cluster.name.c_str(), to_text(cluster.uuid).c_str());
  std::printf("%-12s %-7s %-7s %-5s %-22s %-8s %s\n", "NODE", "ROLE", "TARGET", "STATE", "ADDRESS", "VERSION",
              "CAPACITY");
  const std::map<std::uint32_t, Drain> drains = drains_of(targets);
  for (const TargetHealth& health : targets) {
    const auto drain = drains.find(health.target);
    std::printf("%-12s %-7s %-7u %-5s %-22s %-8s %s%s\n", health.node.c_str(), role_name(health.role), health.target,
                health.up ? "up" : "down", health.address.c_str(),
                health.version.empty() ? "-" : health.version.c_str(), capacity_text(health, targets).c_str(),
                drain == drains.end() ? "" : drain_text(drain->second).c_str());
  }
  for (const ClientHealth& client : clients) {
    std::printf("%-12s %-7s %-7s %-5s %-22s %-8s %s\n", client.node.c_str(), "client", "-", client.up ? "up" : "down",
                "-", client.up ? kVersion : "-",
                client.mount_point.empty() ? "not mounted on this machine" : client.mount_point.c_str());
  }
  bool titled = false;
  for (const LocalNode& local : facts.nodes) {
    if (local.metrics.empty()) continue;
    if (!std::exchange(titled, true)) std::printf("\n%-12s %s\n", "NODE", "METRICS");
    std::printf("%-12s http://%s/metrics\n", local.node.c_str(), local.metrics.c_str());
  }
  for (const std::string& one : facts.recoveries) std::printf("\n%s\n", one.c_str());
  for (const std::string& record : facts.evictions) std::printf("\nevicted: %s\n", record.c_str());
  if (facts.sessions.empty()) return;
  std::printf("\n%-36s %-12s %-7s %-9s %s\n", "CLIENT", "NODE", "TARGET", "STATE", "NAME");
  for (const ClientSession& session : facts.sessions) {
    std::printf("%-36s %-12s %-7u %-9s %s\n", session.client.c_str(), session.node.c_str(), session.target,
                session.connected ? "connected" : "away", session.name.c_str());
  }
}

void print_json(const ClusterConfig& cluster, const std::vector<TargetHealth>& targets,
                const std::vector<ClientHealth>& clients, const LocalFacts& facts, bool healthy) {
  nlohmann::ordered_json document;
  document["cluster"] = cluster.name;
  document["uuid"] = to_text(cluster.uuid);
  document["healthy"] = healthy;
  document["nodes"] = nlohmann::ordered_json::array();
  const std::map<std::uint32_t, Drain> drains = drains_of(targets);
  for (const TargetHealth& health : targets) {
    nlohmann::ordered_json node;
    node["node"] = health.node;
    node["role"] = role_name(health.role);
    node["target"] = health.target;
    node["up"] = health.up;
    node["address"] = health.address;
    if (health.up) {
      node["version"] = health.version;
      node["boot_epoch"] = health.boot_epoch;
      if (health.role == Role::mds) {
        node["inodes_used"] = health.inodes_used;
        node["inodes_free"] = health.inodes_free;
      } else {
        node["bytes_total"] = health.bytes_total;
        node["bytes_free"] = health.bytes_free;
        node["bytes_used"] = health.bytes_total - std::min(health.bytes_free, health.bytes_total);
        node["objects"] = health.objects;
        node["objects_percent"] = share_of(health, targets);
      }
    } else {
      node["problem"] = health.problem;
    }
    if (const auto drain = drains.find(health.target); drain != drains.end()) {
      node["drain"] = {{"state", fs::drain_state_name(drain->second.state)},
                       {"files_left", drain->second.files_left},
                       {"files_moved", drain->second.files_moved},
                       {"bytes_moved", drain->second.bytes_moved},
                       {"problem", drain->second.problem}};
    }
    if (const std::string metrics = facts.metrics_of(health.node); !metrics.empty()) node["metrics"] = metrics;
    document["nodes"].push_back(node);
  }
  for (const ClientHealth& client : clients) {
    nlohmann::ordered_json node;
    node["node"] = client.node;
    node["role"] = "client";
    node["up"] = client.up;
    if (client.up) {
      node["version"] = kVersion;
      node["mount_point"] = client.mount_point;
      node["process"] = client.process;
    }
    if (const std::string metrics = facts.metrics_of(client.node); !metrics.empty()) node["metrics"] = metrics;
    document["nodes"].push_back(node);
  }
  // Known on the machine of the metadata server alone.
  document["sessions"] = nlohmann::ordered_json::array();
  for (const ClientSession& session : facts.sessions) {
    nlohmann::ordered_json one;
    one["client"] = session.client;
    one["name"] = session.name;
    one["node"] = session.node;
    one["target"] = session.target;
    one["connected"] = session.connected;
    document["sessions"].push_back(one);
  }
  document["evictions"] = facts.evictions;
  document["recoveries"] = facts.recoveries;
  std::printf("%s\n", document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

}  // namespace

int status(const CommonOptions& common, const std::string& config, bool json) {
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(config, nullptr, &cluster)) return kUsage;
  const std::vector<TargetHealth> targets = probe_cluster(cluster, catalog, 1000);
  const std::vector<ClientHealth> clients = clients_of(cluster);
  const LocalFacts facts = local_facts(cluster);
  // A client may be mounted elsewhere, or not at all: only servers can be missing.
  bool healthy = true;
  for (const TargetHealth& health : targets) healthy = healthy && health.up;
  if (json) {
    print_json(cluster, targets, clients, facts, healthy);
  } else {
    print_text(cluster, targets, clients, facts);
  }
  return healthy ? kDone : kFailed;
}

}  // namespace rideau::tools
