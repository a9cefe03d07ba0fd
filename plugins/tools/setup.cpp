// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/setup.hpp"

#include "framework/config/plugin_values.hpp"

#include <cstdio>

namespace rideau::tools {

PluginCatalog make_catalog(const CommonOptions& common) {
  CatalogOptions options;
  options.folders = common.plugin_paths;
  for (const std::string& folder : default_plugin_folders()) options.folders.push_back(folder);
  return PluginCatalog(options);
}

bool load_config(const std::string& path, const PluginCatalog* plugins, ClusterConfig* out) {
  ConfigResult loaded = load_cluster_config(path);
  if (plugins != nullptr) check_cluster_plugins(loaded.config, *plugins, &loaded.problems);
  if (!loaded.ok()) {
    std::fputs(to_text(loaded.problems).c_str(), stderr);
    return false;
  }
  *out = std::move(loaded.config);
  return true;
}

std::unique_ptr<Logger> make_log(const CommonOptions& common, const NodeConfig& node) {
  Level level = node.log_level;
  if (!common.log_level.empty()) parse_level(common.log_level, &level);
  return make_stderr_logger(node.name, level);
}

std::unique_ptr<Logger> make_command_log(const CommonOptions& common, const std::string& command) {
  NodeConfig shown;
  shown.name = command;
  shown.log_level = Level::warning;
  return make_log(common, shown);
}

std::vector<TargetPlace> targets_of(const ClusterConfig& cluster) {
  std::vector<TargetPlace> all;
  for (const NodeConfig& node : cluster.nodes) {
    for (const TargetConfig& target : node.targets) all.push_back({&node, &target});
  }
  return all;
}

CommandWay way_of_commands(const ClusterConfig& cluster, const NodeConfig& server) {
  for (const NodeConfig* from : {&cluster.any_client, &server}) {
    const std::vector<ChosenWay> ways = ways_between(*from, server);
    if (!ways.empty()) return {&from->ways[ways.front().number].transport, ways.front().address};
  }
  return {&server.ways.front().transport, server.ways.front().address};
}

}  // namespace rideau::tools
