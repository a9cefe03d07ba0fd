// SPDX-License-Identifier: Apache-2.0
// Names of calls, for statistics and logs.
#pragma once

#include <cstdint>

namespace rideau::fs {

// Null: no such method.
const char* meta_method_name(std::uint16_t method) noexcept;
const char* object_method_name(std::uint16_t method) noexcept;

}  // namespace rideau::fs
