// SPDX-License-Identifier: Apache-2.0
// What must hold between the nodes of a cluster. Private to this folder.
#pragma once

#include "framework/config/cluster_config.hpp"

namespace rideau {

void check_between_nodes(const ClusterConfig& config, std::vector<Problem>* problems);

}  // namespace rideau
