// SPDX-License-Identifier: Apache-2.0
// Asks every target of a cluster whether it is up and how it is: for `status`, and for `up` that waits until all are.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/plugin_host/catalog.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rideau::tools {

struct TargetHealth {
  std::string node;
  Role role = Role::mds;
  std::uint32_t target = 0;
  std::string address;
  bool up = false;
  std::string problem;  // why not
  std::string version;
  std::uint64_t boot_epoch = 0;
  std::uint64_t bytes_total = 0;  // of an oss
  std::uint64_t bytes_free = 0;
  std::uint64_t objects = 0;
  std::uint64_t inodes_used = 0;  // of an mds
  std::uint64_t inodes_free = 0;
};

// One entry for each target of the file, in its order. A target that does not answer within `patience_ms` is not up.
std::vector<TargetHealth> probe_cluster(const ClusterConfig& cluster, const PluginCatalog& catalog,
                                        std::uint32_t patience_ms);

}  // namespace rideau::tools
