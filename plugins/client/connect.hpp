// SPDX-License-Identifier: Apache-2.0
// From the configuration of a cluster to the options of a client's FileSystem.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "plugins/client/file_system.hpp"

#include <string>

namespace rideau::client {

// The transport is lent. `place` says where on this machine the client is, for people: a mount point, a program.
FileSystemOptions file_system_options(Runtime& runtime, const ClusterConfig& cluster, const ClientSettings& settings,
                                      Transport& transport, const std::string& place);

}  // namespace rideau::client
