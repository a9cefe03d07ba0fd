// SPDX-License-Identifier: Apache-2.0
// A strict libfabric: the real one, with checks that no software provider makes and hardware does. Every descriptor
// must belong to a registration that is open, bound and enabled, has the right for the operation, and covers the
// memory; an endpoint must have its address vector and completion queue before it is enabled. Programs that use it link
// with -Wl,--wrap=fi_getinfo,--wrap=fi_fabric.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rideau::strict_fabric {

struct Seen {
  std::vector<std::string> faults;
  std::uint64_t registrations = 0;
  std::uint64_t open_registrations = 0;
  std::uint64_t messages = 0;
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
};

// Starts to count anew. With `demand`, providers ask for FI_MR_LOCAL and FI_MR_ENDPOINT.
void begin(bool demand);
const Seen& seen();

}  // namespace rideau::strict_fabric
