// SPDX-License-Identifier: Apache-2.0
// Bytes for people: "1.4 GiB". What must be exact is written by framework/config/units.hpp.
#pragma once

#include <cstdint>
#include <string>

namespace rideau::tools {

std::string rough_size(std::uint64_t bytes);

}  // namespace rideau::tools
