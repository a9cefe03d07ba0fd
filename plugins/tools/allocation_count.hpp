// SPDX-License-Identifier: Apache-2.0
// Counts the allocations of C++ in this program and its plugins, by thread. Sanitizers bring an allocator of their own:
// under them nothing is counted.
#pragma once

#include <cstdint>

namespace rideau::tools {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kAllocationsCounted = false;
#else
constexpr bool kAllocationsCounted = true;
#endif

std::uint64_t allocations_of_this_thread() noexcept;

}  // namespace rideau::tools
