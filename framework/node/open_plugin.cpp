// SPDX-License-Identifier: Apache-2.0
#include "framework/node/open_plugin.hpp"

#include "framework/config/plugin_values.hpp"

namespace rideau {

OpenedPlugin open_plugin(Runtime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster,
                         const PluginChoice& choice, const std::string& instance_name, PluginInstance* index) {
  OpenedPlugin opened;
  const LoadResult found = catalog.find(choice.kind, choice.plugin);
  if (!found.ok()) {
    opened.problem = to_text(Problem{cluster.file, choice.line, choice.key, found.message, {}});
    opened.bad_configuration = true;
    return opened;
  }
  PluginValues values;
  std::vector<Problem> problems;
  if (!check_plugin_values(*found.descriptor, choice, cluster.file, cluster.folder, &values, &problems)) {
    opened.problem = to_text(problems);
    opened.bad_configuration = true;
    return opened;
  }
  PluginInstanceOptions options;
  options.name = instance_name;
  options.guarded = options.guarded || cluster.guard_plugins;
  auto instance = std::make_unique<PluginInstance>(runtime, log, *found.descriptor, options);
  if (index != nullptr) instance->wire("index", *index);
  const Status created = instance->create(values.data());
  if (!created.ok()) {
    opened.problem = instance->message();
    return opened;
  }
  opened.instance = std::move(instance);
  return opened;
}

}  // namespace rideau
