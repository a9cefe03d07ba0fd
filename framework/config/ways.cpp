// SPDX-License-Identifier: Apache-2.0
// Which transport leads from one node to another.
#include "framework/config/cluster_config.hpp"

namespace rideau {

std::vector<ChosenWay> ways_between(const NodeConfig& from, const NodeConfig& to) {
  std::vector<ChosenWay> found;
  for (std::size_t i = 0; i < from.ways.size(); ++i) {
    for (const Way& way : to.ways) {
      if (way.transport.plugin != from.ways[i].transport.plugin || way.address.empty()) continue;
      found.push_back({i, way.address});
    }
  }
  return found;
}

const NodeConfig* ClusterConfig::out_of_reach(const NodeConfig& from) const {
  for (const NodeConfig& server : nodes) {
    if (!server.targets.empty() && ways_between(from, server).empty()) return &server;
  }
  return nullptr;
}

}  // namespace rideau
