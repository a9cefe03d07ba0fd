// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/connect.hpp"

#include <array>

#include <unistd.h>

namespace rideau::client {

std::vector<TargetAddress> object_targets(const ClusterConfig& cluster, Transport& transport) {
  std::vector<TargetAddress> found;
  for (const NodeConfig& node : cluster.nodes) {
    for (const TargetConfig& target : node.targets) {
      if (target.role == Role::oss) found.push_back({target.id, node.address, &transport});
    }
  }
  return found;
}

std::function<std::vector<TargetAddress>()> object_targets_of_file(const std::string& file, Transport& transport) {
  return [file, &transport] {
    const ConfigResult now = load_cluster_config(file);
    return now.ok() ? object_targets(now.config, transport) : std::vector<TargetAddress>();
  };
}

FileSystemOptions file_system_options(Runtime& runtime, const ClusterConfig& cluster, const ClientSettings& settings,
                                      Transport& transport, const std::string& place) {
  FileSystemOptions options;
  options.cluster = cluster.uuid;
  std::array<std::uint8_t, 16> bytes{};
  runtime.random(MutableBytes(bytes.data(), bytes.size()));
  options.client = make_uuid(bytes);
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  options.client_name = std::string(host) + ":" + place;
  options.cache_bytes = settings.cache_bytes;
  options.dirty_bytes_max = settings.dirty_bytes_max;
  options.dirty_age_ms = settings.dirty_age_ms;
  options.read_ahead_bytes = settings.read_ahead_bytes;
  options.cached_inodes = settings.cached_inodes;
  options.objects = object_targets(cluster, transport);
  for (const NodeConfig& node : cluster.nodes) {
    for (const TargetConfig& target : node.targets) {
      if (target.role == Role::mds && options.meta.target == 0) options.meta = {target.id, node.address, &transport};
    }
  }
  return options;
}

}  // namespace rideau::client
