// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/rate.hpp"

#include "framework/config/units.hpp"

#include <cstdio>

namespace rideau::tools {

// A number alone would be bytes, which nobody means.
std::optional<std::uint64_t> parse_rate(const std::string& text) {
  if (text == "unlimited") return 0;
  const std::optional<std::int64_t> bytes = parse_size(text);
  const bool has_unit = text.find_last_not_of("0123456789 ") != std::string::npos;
  if (bytes && *bytes > 0 && has_unit) return static_cast<std::uint64_t>(*bytes);
  std::fprintf(stderr, "--rate %s: wants bytes a second with a unit, such as '20 MiB', or `unlimited`\n", text.c_str());
  return std::nullopt;
}

}  // namespace rideau::tools
