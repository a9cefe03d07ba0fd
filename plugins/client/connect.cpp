// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/connect.hpp"

#include "plugins/client/cache_size.hpp"

#include <algorithm>
#include <array>

#include <unistd.h>

namespace rideau::client {

namespace {

// Of those that are in reach.
std::vector<TargetAddress> targets_of(Role role, const ClusterConfig& cluster, const NodeTransports& transports) {
  std::vector<TargetAddress> found;
  for (const NodeConfig& node : cluster.nodes) {
    const NodeTransports::Reached way = transports.reach(node);
    if (way.transport == nullptr) continue;
    for (const TargetConfig& target : node.targets) {
      if (target.role == role) found.push_back({target.id, way.address, way.transport});
    }
  }
  return found;
}

}  // namespace

std::function<std::vector<TargetAddress>()> object_targets_of_file(const std::string& file,
                                                                   const NodeTransports& transports) {
  return [file, &transports] {
    const ConfigResult now = load_cluster_config(file);
    return now.ok() ? targets_of(Role::oss, now.config, transports) : std::vector<TargetAddress>();
  };
}

FileSystemOptions file_system_options(Runtime& runtime, const ClusterConfig& cluster, const ClientSettings& settings,
                                      const NodeTransports& transports, MemoryGauge& memory, const std::string& place) {
  FileSystemOptions options;
  options.cluster = cluster.uuid;
  std::array<std::uint8_t, 16> bytes{};
  runtime.random(MutableBytes(bytes.data(), bytes.size()));
  options.client = make_uuid(bytes);
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  options.client_name = std::string(host) + ":" + place;
  options.cache_bytes = settings.cache_bytes != 0 ? settings.cache_bytes : default_cache_bytes(memory.read());
  options.dirty_bytes_max = std::min(settings.dirty_bytes_max, options.cache_bytes);
  options.memory = &memory;
  const std::uint64_t unstable =
      settings.unstable_bytes_max != 0 ? settings.unstable_bytes_max : options.cache_bytes / 2;
  options.unstable_bytes_max = std::clamp(unstable, options.dirty_bytes_max, options.cache_bytes);
  options.dirty_age_ms = settings.dirty_age_ms;
  options.read_ahead_bytes = settings.read_ahead_bytes;
  options.cached_inodes = settings.cached_inodes;
  options.objects = targets_of(Role::oss, cluster, transports);
  const std::vector<TargetAddress> meta = targets_of(Role::mds, cluster, transports);
  if (!meta.empty()) options.meta = meta.front();
  return options;
}

}  // namespace rideau::client
