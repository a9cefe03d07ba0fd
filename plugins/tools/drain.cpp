// SPDX-License-Identifier: Apache-2.0
// `rideau drain`: files leave an object server, which can be taken out of the cluster then. The metadata server moves
// them and remembers it; this command tells it to, and shows how far it is.
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control_client.hpp"
#include "plugins/tools/probe.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/progress.hpp"
#include "plugins/tools/rate.hpp"
#include "plugins/tools/rough_size.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace rideau::tools {
namespace {

constexpr std::uint32_t kLookMs = 200;
constexpr std::uint32_t kStopMs = 20'000;

using fs::DrainState;
using Drain = fs::StatFileSystemReply::Drain;

// One that keeps objects and nothing else, so that it can go.
const NodeConfig* object_server(const ClusterConfig& cluster, const std::string& name) {
  const NodeConfig* node = cluster.find(name);
  const char* problem = nullptr;
  if (node == nullptr) {
    problem = "is no node of this cluster; `rideau status` lists them";
  } else if (!node->has(Role::oss)) {
    problem = "is no object server";
  } else if (node->has(Role::mds) || node->has(Role::client)) {
    problem = "has other roles too: only a node that is an object server alone can be drained";
  }
  if (problem == nullptr) return node;
  std::fprintf(stderr, "%s: %s %s\n", cluster.file.c_str(), name.c_str(), problem);
  return nullptr;
}

const NodeConfig* metadata_server(const ClusterConfig& cluster) {
  const auto is_one = [](const NodeConfig& node) { return node.has(Role::mds); };
  return &*std::find_if(cluster.nodes.begin(), cluster.nodes.end(), is_one);
}

bool tell(const ClusterConfig& cluster, const NodeConfig& node, const char* action, std::uint64_t rate) {
  const NodeConfig* mds = metadata_server(cluster);
  for (const TargetConfig& target : node.targets) {
    const nlohmann::json wish = {{"action", action}, {"target", target.id}, {"rate", rate}};
    const ControlAnswer answer = ask_node(cluster.folder, mds->name, "POST", "/drain", wish.dump(), 60'000);
    if (answer.ok()) continue;
    std::fprintf(stderr, "%s: %s%s\n", mds->name.c_str(), answer.body.c_str(),
                 answer.reached ? "" : "; run this on the machine of the metadata server");
    return false;
  }
  return true;
}

// Nothing: it does not answer now.
std::optional<std::vector<Drain>> ask_progress(const ClusterConfig& cluster, const PluginCatalog& catalog) {
  ClusterConfig only = cluster;
  std::erase_if(only.nodes, [](const NodeConfig& node) { return !node.has(Role::mds); });
  for (const TargetHealth& health : probe_cluster(only, catalog, 1000)) {
    if (health.role == Role::mds && health.up) return health.drains;
  }
  return std::nullopt;
}

std::string line_of(const Drain& drain) {
  std::string text = std::to_string(drain.files_moved) + " files moved (" + rough_size(drain.bytes_moved) + "), " +
                     std::to_string(drain.files_left) + " left";
  if (!drain.problem.empty()) text += "; waiting: " + drain.problem;
  return text;
}

// Until nothing is on it any more.
int wait_until_drained(const ClusterConfig& cluster, const PluginCatalog& catalog, const NodeConfig& node) {
  Progress progress;
  std::string told;
  for (;;) {
    const auto drains = ask_progress(cluster, catalog);
    if (!drains) progress.tell("the metadata server does not answer; what it moves goes on when it is back");
    std::size_t done = 0;
    Drain all;
    for (const TargetConfig& target : node.targets) {
      if (!drains) break;
      const auto is_this = [&target](const Drain& drain) { return drain.target == target.id; };
      const auto drain = std::find_if(drains->begin(), drains->end(), is_this);
      if (drain == drains->end()) {
        std::fprintf(stderr, "%s takes files again: somebody has ended its drain\n", node.name.c_str());
        return kFailed;
      }
      all.files_moved += drain->files_moved;
      all.bytes_moved += drain->bytes_moved;
      all.files_left += drain->files_left;
      if (!drain->problem.empty()) all.problem = drain->problem;
      if (drain->state != DrainState::draining) ++done;
    }
    if (done == node.targets.size()) {
      std::printf("%s is drained: %llu files with %s moved away\n", node.name.c_str(),
                  static_cast<unsigned long long>(all.files_moved), rough_size(all.bytes_moved).c_str());
      return kDone;
    }
    if (drains) progress.tell(node.name + ": " + line_of(all));
    // What keeps files from moving is said also where nobody sees the progress.
    if (!all.problem.empty() && all.problem != std::exchange(told, all.problem)) {
      std::fprintf(stderr, "%s: %s; it is tried again\n", node.name.c_str(), all.problem.c_str());
    }
    pause_ms(kLookMs);
  }
}

int take_out(const ClusterConfig& cluster, const NodeConfig& node) {
  if (!tell(cluster, node, "remove", 0)) return kFailed;
  std::string why;
  if (!shrink_cluster_config(cluster.file, node, &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  std::printf("%s is taken out of %s; its target ids are never used again\n", node.name.c_str(), cluster.file.c_str());
  ClusterConfig now;
  std::vector<std::string> told;
  if (!load_config(cluster.file, nullptr, &now)) return kUsage;
  // While it is there: clients that see it go know that it has lost nothing.
  const bool all = tell_nodes_to_reload(now, &told);
  if (end_process(pid_path(cluster.folder, node.name), kStopMs)) std::printf("%s stopped\n", node.name.c_str());
  return all ? kDone : kFailed;
}

}  // namespace

int drain(const CommonOptions& common, const DrainOptions& options) {
  const std::optional<std::uint64_t> rate = parse_rate(options.rate);
  if (!rate) return kUsage;
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(options.config, &catalog, &cluster)) return kUsage;
  const NodeConfig* node = object_server(cluster, options.node);
  if (node == nullptr) return kUsage;
  if (options.remove) return take_out(cluster, *node);
  if (options.cancel) {
    if (!tell(cluster, *node, "cancel", 0)) return kFailed;
    std::printf("%s takes files again\n", node->name.c_str());
    return kDone;
  }
  if (!tell(cluster, *node, "begin", *rate)) return kFailed;
  return wait_until_drained(cluster, catalog, *node);
}

}  // namespace rideau::tools
