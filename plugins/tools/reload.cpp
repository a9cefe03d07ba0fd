// SPDX-License-Identifier: Apache-2.0
// `rideau reload`: nodes of this machine read the file of their cluster again and meet the object servers that are new
// in it.
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control_client.hpp"
#include "plugins/tools/setup.hpp"

#include <cstdio>

namespace rideau::tools {

bool tell_nodes_to_reload(const ClusterConfig& cluster, std::vector<std::string>* told) {
  bool all = true;
  for (const std::string& node : local_nodes(cluster, "")) {
    const ControlAnswer answer = ask_node(cluster.folder, node, "POST", "/reload");
    if (answer.ok()) {
      told->push_back(node);
    } else {
      std::fprintf(stderr, "%s: %s\n", node.c_str(), answer.body.c_str());
      all = false;
    }
  }
  return all;
}

int reload(const CommonOptions& common, const std::string& config) {
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(config, &catalog, &cluster)) return kUsage;
  std::vector<std::string> told;
  const bool all = tell_nodes_to_reload(cluster, &told);
  for (const std::string& node : told) std::printf("%s: has read %s again\n", node.c_str(), cluster.file.c_str());
  if (all && told.empty()) std::printf("no node of %s runs on this machine\n", cluster.file.c_str());
  return all ? kDone : kFailed;
}

}  // namespace rideau::tools
