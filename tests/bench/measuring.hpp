// SPDX-License-Identifier: Apache-2.0
// What the programs that measure share: time, an end for what must not fail, and values for plugins from the command
// line.
#pragma once

#include "framework/config/cluster_config.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace rideau {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin);
// Ends the process with this message otherwise.
void must(bool held, const char* what);

// Of "KEY=VALUE" each: a number, true or false, or text.
std::vector<RawValue> raw_values(const std::vector<std::string>& settings);

}  // namespace rideau
