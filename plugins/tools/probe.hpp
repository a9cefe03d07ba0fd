// SPDX-License-Identifier: Apache-2.0
// Asks every target of a cluster whether it is up and how it is: for `status`, and for `up` that waits until all are.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/observe/log.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/fs/meta_calls.hpp"

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
  std::vector<fs::StatFileSystemReply::Drain> drains;  // of object targets that take no new files
};

// Of the targets of one node, asked by the node itself, in its own process. For those who cannot reach it otherwise.
Task<std::vector<TargetHealth>> probe_own_targets(Runtime& runtime, Logger& log, const ClusterConfig& cluster,
                                                  const PluginCatalog& catalog, const NodeConfig& node);
std::string to_json(const std::vector<TargetHealth>& healths);

// One entry for each target of the file, in its order. A target that does not answer within `patience_ms` is not up.
// A node that is also a client may be all in one process, out of reach: it is asked over its control socket.
std::vector<TargetHealth> probe_cluster(const ClusterConfig& cluster, const PluginCatalog& catalog,
                                        std::uint32_t patience_ms);

}  // namespace rideau::tools
