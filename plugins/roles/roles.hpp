// SPDX-License-Identifier: Apache-2.0
// The roles that serve, as the framework's nodes see them: for the program, and for programs that embed a file system.
#pragma once

namespace rideau {
class Node;
}

namespace rideau::roles {
void add_roles(Node& node);
}
