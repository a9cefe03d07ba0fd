// SPDX-License-Identifier: Apache-2.0
// The configuration of a file system that lies in a folder and is opened by one program. Private to the library.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "rideau/client.hpp"

#include <string>

namespace rideau {

// Of a folder without cluster.toml: writes that of a new file system, with the folder when that is not there.
Client::Status folder_config(const std::string& folder, ClusterConfig* out);

}  // namespace rideau
