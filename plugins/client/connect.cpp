// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/connect.hpp"

#include <array>

#include <unistd.h>

namespace rideau::client {

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
  for (const NodeConfig& node : cluster.nodes) {
    for (const TargetConfig& target : node.targets) {
      const TargetAddress address{target.id, node.address, &transport};
      if (target.role == Role::oss) {
        options.objects.push_back(address);
      } else if (options.meta.target == 0) {
        options.meta = address;
      }
    }
  }
  return options;
}

}  // namespace rideau::client
