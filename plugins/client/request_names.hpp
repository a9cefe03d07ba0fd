// SPDX-License-Identifier: Apache-2.0
// Names of the kernel's requests, for statistics and stories.
#pragma once

#include <cstdint>

namespace rideau::client {

// As the kernel calls them, without FUSE_. Null: none of those that this program answers.
const char* request_name(std::uint32_t opcode) noexcept;

}  // namespace rideau::client
