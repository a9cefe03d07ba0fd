// SPDX-License-Identifier: Apache-2.0
// Asserts are for our own mistakes, stay on in release builds, and never judge input, peers or disks.
#pragma once

namespace rideau {
[[noreturn]] void assert_failed(const char* expression, const char* file, int line) noexcept;
}

#define RIDEAU_ASSERT(expression) \
  (static_cast<bool>(expression) ? static_cast<void>(0) : ::rideau::assert_failed(#expression, __FILE__, __LINE__))
