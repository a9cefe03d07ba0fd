// SPDX-License-Identifier: Apache-2.0
// The roles that are linked into the program, as the framework's nodes see them.
#pragma once

namespace rideau {
class Node;
}

namespace rideau::tools {
void add_roles(Node& node);
}
