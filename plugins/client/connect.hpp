// SPDX-License-Identifier: Apache-2.0
// From the configuration of a cluster to the options of a client's FileSystem.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "plugins/client/file_system.hpp"

#include <functional>
#include <string>
#include <vector>

namespace rideau::client {

// Its object targets. The transport is lent.
std::vector<TargetAddress> object_targets(const ClusterConfig& cluster, Transport& transport);

// For FileSystemOptions::objects_now: what the file says when it is asked; nothing while it has problems.
std::function<std::vector<TargetAddress>()> object_targets_of_file(const std::string& file, Transport& transport);

// The transport is lent. `place` says where on this machine the client is, for people: a mount point, a program.
FileSystemOptions file_system_options(Runtime& runtime, const ClusterConfig& cluster, const ClientSettings& settings,
                                      Transport& transport, const std::string& place);

}  // namespace rideau::client
