// SPDX-License-Identifier: Apache-2.0
// "64 KiB" and "5 s": how sizes and durations are written in configurations.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rideau {

// Bytes. Units: none or B, KiB, MiB, GiB, TiB, PiB, and kB, MB, GB, TB of powers of 1000. No sign, no fraction.
std::optional<std::int64_t> parse_size(std::string_view text);
// Nanoseconds. A unit is needed: ns, us, ms, s, min, h.
std::optional<std::int64_t> parse_duration_ns(std::string_view text);

// The shortest exact way to write a value so that it parses back: "64 KiB", "5 s".
std::string size_text(std::int64_t bytes);
std::string duration_text(std::int64_t ns);

}  // namespace rideau
