// SPDX-License-Identifier: Apache-2.0
// From the configuration of a cluster to the options of a client's FileSystem.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/node/transports.hpp"
#include "plugins/client/file_system.hpp"

#include <functional>
#include <string>
#include <vector>

namespace rideau::client {

// For FileSystemOptions::objects_now: what the file says when it is asked, of servers to which one of these transports
// leads; nothing while it has problems. The transports are lent.
std::function<std::vector<TargetAddress>()> object_targets_of_file(const std::string& file,
                                                                   const NodeTransports& transports);

// The transports are lent, and lead to every server. `place` says where on this machine the client is, for people: a
// mount point, a program. `memory`, lent as well: by which the cache has its size.
FileSystemOptions file_system_options(Runtime& runtime, const ClusterConfig& cluster, const ClientSettings& settings,
                                      const NodeTransports& transports, MemoryGauge& memory, const std::string& place);

}  // namespace rideau::client
