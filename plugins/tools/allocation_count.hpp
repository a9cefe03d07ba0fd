// SPDX-License-Identifier: Apache-2.0
// Counts the allocations of C++ in this program and its plugins, by thread. Sanitizers bring an allocator of their own:
// under them nothing is counted.
#pragma once

#include "framework/base/watched_memory.hpp"

#include <cstdint>

namespace rideau::tools {

constexpr bool kAllocationsCounted = !kMemoryIsWatched;

std::uint64_t allocations_of_this_thread() noexcept;

}  // namespace rideau::tools
