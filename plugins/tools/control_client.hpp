// SPDX-License-Identifier: Apache-2.0
// Asking nodes of this machine through their control sockets.
#pragma once

#include "framework/config/cluster_config.hpp"

#include <string>
#include <vector>

namespace rideau::tools {

struct ControlAnswer {
  bool reached = false;  // the node answered
  unsigned status = 0;   // of HTTP
  std::string body;      // its answer; otherwise why there is none
  bool ok() const noexcept { return reached && status == 200; }
};

// Blocks until the answer is there; without one for `patience_ms` it is given up. 0: no limit.
ControlAnswer ask_node(const std::string& folder, const std::string& node, const std::string& method,
                       const std::string& path, const std::string& body = {}, std::uint32_t patience_ms = 10'000);

// Nodes with a control socket under the cluster's folder, in the order of the file, then others (clients that are not
// in it). Sockets that dead processes left are not among them. With `wanted`, that one alone, there or not.
std::vector<std::string> local_nodes(const ClusterConfig& cluster, const std::string& wanted);

}  // namespace rideau::tools
