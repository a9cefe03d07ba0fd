// SPDX-License-Identifier: Apache-2.0
// What most commands begin with: the plugin catalog, the configuration (or all that is wrong with it), a log.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/observe/log.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "plugins/tools/commands.hpp"

#include <memory>
#include <string>

namespace rideau::tools {

PluginCatalog make_catalog(const CommonOptions& common);

// False when there are problems; they were printed. With `plugins`, also what concerns plugins is checked.
bool load_config(const std::string& path, const PluginCatalog* plugins, ClusterConfig* out);

std::unique_ptr<Logger> make_log(const CommonOptions& common, const NodeConfig& node);
// Of a command that reaches into stores or servers itself: warnings, unless more is asked for.
std::unique_ptr<Logger> make_command_log(const CommonOptions& common, const std::string& command);

// The metadata target of the root, and every object target, with the node that each is on.
struct TargetPlace {
  const NodeConfig* node = nullptr;
  const TargetConfig* target = nullptr;
};
std::vector<TargetPlace> targets_of(const ClusterConfig& cluster);

// How commands reach a server: as a client that is not in the file would, else as the server itself is configured.
struct CommandWay {
  const PluginChoice* transport;
  std::string address;
};
CommandWay way_of_commands(const ClusterConfig& cluster, const NodeConfig& server);

}  // namespace rideau::tools
