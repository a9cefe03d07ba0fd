// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/measuring.hpp"

#include <cstdio>
#include <cstdlib>

namespace rideau {

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

void must(bool held, const char* what) {
  if (held) return;
  std::fprintf(stderr, "rideau-bench: %s\n", what);
  std::_Exit(1);
}

std::vector<RawValue> raw_values(const std::vector<std::string>& settings) {
  std::vector<RawValue> values;
  for (const std::string& setting : settings) {
    const std::size_t equal = setting.find('=');
    must(equal != std::string::npos, "--set wants KEY=VALUE");
    RawValue value;
    value.key = setting.substr(0, equal);
    value.text = setting.substr(equal + 1);
    if (value.text == "true" || value.text == "false") {
      value.kind = RawValue::Kind::boolean;
      value.integer = value.text == "true" ? 1 : 0;
    } else if (!value.text.empty() && value.text.find_first_not_of("0123456789") == std::string::npos) {
      value.kind = RawValue::Kind::integer;
      value.integer = std::stoll(value.text);
    }
    values.push_back(value);
  }
  return values;
}

}  // namespace rideau
