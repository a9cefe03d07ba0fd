// SPDX-License-Identifier: Apache-2.0
// What may change in the file of a cluster while its nodes run.
#include "framework/config/cluster_config.hpp"

#include <algorithm>

namespace rideau {
namespace {

bool is_same_target(const TargetConfig& a, const TargetConfig& b) { return a.id == b.id && a.role == b.role; }

// Over which transports it connects, and where it is found over them.
std::string ways_text(const NodeConfig& node) {
  std::string text;
  for (const Way& way : node.ways) {
    text += (text.empty() ? "" : ", ") + way.transport.plugin + (way.address.empty() ? "" : " " + way.address);
  }
  return text;
}

// Whether peers find the same targets there.
bool is_same_server(const NodeConfig& before, const NodeConfig& after, const ClusterConfig& cluster, std::string* why) {
  if (const std::string was = ways_text(before), is = ways_text(after); was != is) {
    *why = "node." + before.name + " was at " + was + " and is at " + is;
    return false;
  }
  for (const TargetConfig& target : before.targets) {
    const auto is_this = [&target](const TargetConfig& other) { return is_same_target(target, other); };
    if (std::any_of(after.targets.begin(), after.targets.end(), is_this)) continue;
    const bool removed = std::find(cluster.removed.begin(), cluster.removed.end(), target.id) != cluster.removed.end();
    if (removed && target.role == Role::oss) continue;
    *why = "node." + before.name + " had target " + std::to_string(target.id) + " and has it no more";
    return false;
  }
  return true;
}

}  // namespace

namespace {

bool is_removed(const NodeConfig& node, const ClusterConfig& after) {
  return std::all_of(node.targets.begin(), node.targets.end(), [&after](const TargetConfig& target) {
    return target.role == Role::oss &&
           std::find(after.removed.begin(), after.removed.end(), target.id) != after.removed.end();
  });
}

}  // namespace

bool has_grown_only(const ClusterConfig& before, const ClusterConfig& after, std::string* why) {
  if (before.uuid != after.uuid) {
    *why = "cluster.uuid was " + to_text(before.uuid) + " and is " + to_text(after.uuid);
    return false;
  }
  std::uint32_t greatest = before.removed.empty() ? 0 : *std::max_element(before.removed.begin(), before.removed.end());
  for (const NodeConfig& node : before.nodes) {
    if (node.targets.empty()) continue;
    for (const TargetConfig& target : node.targets) greatest = std::max(greatest, target.id);
    const NodeConfig* now = after.find(node.name);
    if (now == nullptr && is_removed(node, after)) continue;
    if (now == nullptr) {
      *why = "node." + node.name + " is there no more";
      return false;
    }
    if (!is_same_server(node, *now, after, why)) return false;
  }
  for (const NodeConfig& node : after.nodes) {
    const NodeConfig* known = before.find(node.name);
    for (const TargetConfig& target : node.targets) {
      const auto is_this = [&target](const TargetConfig& other) { return is_same_target(target, other); };
      if (known != nullptr && std::any_of(known->targets.begin(), known->targets.end(), is_this)) continue;
      if (target.role == Role::oss && target.id > greatest) continue;
      *why = "node." + node.name + " has the new target " + std::to_string(target.id) +
             ": only object targets with ids above " + std::to_string(greatest) + " may join";
      return false;
    }
  }
  return true;
}

}  // namespace rideau
