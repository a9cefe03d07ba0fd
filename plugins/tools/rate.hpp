// SPDX-License-Identifier: Apache-2.0
// How fast work in the background may go, as the command line says it: `--rate '20 MiB'`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace rideau::tools {

// Bytes a second; 0: no bound. Nothing when it is none; that was printed.
std::optional<std::uint64_t> parse_rate(const std::string& text);

}  // namespace rideau::tools
