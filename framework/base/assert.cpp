// SPDX-License-Identifier: Apache-2.0
#include "framework/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace rideau {

void assert_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "rideau: assertion failed: %s, %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace rideau
