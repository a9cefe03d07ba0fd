// SPDX-License-Identifier: Apache-2.0
// `rideau stats`, `rideau log-level`, `rideau reopen-logs`: what running nodes of this machine tell and are told.
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control_client.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace rideau::tools {
namespace {

using Json = nlohmann::ordered_json;

int none_runs(const ClusterConfig& cluster) {
  std::fprintf(stderr, "no node of %s runs on this machine (or its control socket belongs to another user)\n",
               cluster.file.c_str());
  return kFailed;
}

bool known_node(const ClusterConfig& cluster, const std::string& node) {
  if (node.empty() || cluster.find(node) != nullptr) return true;
  for (const std::string& local : local_nodes(cluster, "")) {
    if (local == node) return true;  // a client that is not in the file
  }
  std::fprintf(stderr, "%s: there is no node \"%s\"\n", cluster.file.c_str(), node.c_str());
  return false;
}

void print_figures(const Json& node) {
  std::printf("%s\n", node["node"].get<std::string>().c_str());
  for (const auto& [key, value] : node["metrics"].items()) {
    if (value.is_object()) {
      const double count = value["count"].get<double>();
      if (count == 0) continue;
      std::printf("  %-78s %12.0f  mean %.1f us\n", key.c_str(), count, 1e6 * value["seconds"].get<double>() / count);
    } else if (value.get<double>() != 0) {
      std::printf("  %-78s %12.15g\n", key.c_str(), value.get<double>());
    }
  }
}

}  // namespace

int stats(const CommonOptions&, const NodeCommandOptions& options, bool json) {
  ClusterConfig cluster;
  if (!load_config(options.config, nullptr, &cluster)) return kUsage;
  if (!known_node(cluster, options.node)) return kUsage;
  const std::vector<std::string> nodes = local_nodes(cluster, options.node);
  if (nodes.empty()) return none_runs(cluster);
  int result = kDone;
  Json all;
  all["cluster"] = cluster.name;
  all["nodes"] = Json::array();
  for (const std::string& node : nodes) {
    const ControlAnswer answer = ask_node(cluster.folder, node, "GET", "/stats");
    const Json told = answer.ok() ? Json::parse(answer.body, nullptr, false) : Json();
    if (!told.is_object()) {
      std::fprintf(stderr, "%s\n", answer.body.c_str());
      result = kFailed;
      continue;
    }
    if (json) {
      all["nodes"].push_back(told);
    } else {
      print_figures(told);
    }
  }
  if (json) std::printf("%s\n", all.dump(1, ' ', false, Json::error_handler_t::replace).c_str());
  return result;
}

int set_log_level(const CommonOptions&, const NodeCommandOptions& options, const std::string& level) {
  ClusterConfig cluster;
  if (!load_config(options.config, nullptr, &cluster)) return kUsage;
  if (!known_node(cluster, options.node)) return kUsage;
  const std::vector<std::string> nodes = local_nodes(cluster, options.node);
  if (nodes.empty()) return none_runs(cluster);
  int result = kDone;
  for (const std::string& node : nodes) {
    const ControlAnswer answer = ask_node(cluster.folder, node, "PUT", "/log-level", level);
    if (answer.ok()) {
      std::printf("%s: %s, was %s\n", node.c_str(), level.c_str(), answer.body.c_str());
    } else {
      std::fprintf(stderr, "%s\n", answer.body.c_str());
      result = kFailed;
    }
  }
  return result;
}

int reopen_logs(const CommonOptions&, const NodeCommandOptions& options) {
  ClusterConfig cluster;
  if (!load_config(options.config, nullptr, &cluster)) return kUsage;
  if (!known_node(cluster, options.node)) return kUsage;
  // None runs: nothing to do, which is what a log rotation wants to hear.
  int result = kDone;
  for (const std::string& node : local_nodes(cluster, options.node)) {
    const ControlAnswer answer = ask_node(cluster.folder, node, "POST", "/reopen-log");
    if (answer.ok()) {
      std::printf("%s: %s\n", node.c_str(), answer.body.c_str());
    } else {
      std::fprintf(stderr, "%s\n", answer.body.c_str());
      result = kFailed;
    }
  }
  return result;
}

}  // namespace rideau::tools
