// SPDX-License-Identifier: Apache-2.0
// The version of this software, as people see it; the same as in CMakeLists.txt (a test holds them together).
#pragma once

namespace rideau {
constexpr const char* kVersion = "0.1.0";
}
