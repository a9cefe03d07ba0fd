// SPDX-License-Identifier: Apache-2.0
// From a choice in the configuration to a created instance: finds the plugin, checks its values, creates.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "framework/plugin_host/instance.hpp"

#include <memory>
#include <string>

namespace rideau {

struct OpenedPlugin {
  std::unique_ptr<PluginInstance> instance;  // created, not started; null: `problem` says why
  std::string problem;
  bool bad_configuration = false;  // the file is wrong, not the machine
};

// `index`, where there is one, is what the plugin gets when it opens an index store under the role "index".
OpenedPlugin open_plugin(Runtime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster,
                         const PluginChoice& choice, const std::string& instance_name, PluginInstance* index = nullptr);

}  // namespace rideau
