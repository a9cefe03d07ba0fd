// SPDX-License-Identifier: Apache-2.0
#pragma once

// TCP ports of 127.0.0.1 for servers that `up` describes.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "framework/runtime/runtime.hpp"

namespace rideau::tools {

// `count` different ports on which nobody listens now; fewer when there are no more. They lie outside the range from
// which the kernel gives ports to connections that are opened (ip(7), ip_local_port_range): a server that comes back
// must not find that somebody's connection has its port.
std::vector<std::uint16_t> free_ports(Runtime& runtime, std::size_t count);

}  // namespace rideau::tools
