// SPDX-License-Identifier: Apache-2.0
// The table of configuration keys of a plugin. The host parses the file, reports every problem at once with file, line
// and key, and hands over values in the order of the table: values[i] belongs to keys[i].
#pragma once

#include "rideau/buffer.hpp"

#include <cstdint>

namespace rideau {

enum class KeyType : std::uint32_t {
  text = 0,
  path = 1,  // relative paths were made absolute against the folder of the configuration file
  integer = 2,
  size = 3,      // bytes; the file may say "64 KiB", "1 GiB"
  duration = 4,  // milliseconds; the file may say "250 ms", "5 s"
  boolean = 5,
};

struct ConfigKey {
  const char* name = nullptr;  // snake_case
  KeyType type = KeyType::text;
  const char* unit = "";           // for people: "bytes", "ms", ""
  const char* default_value = "";  // as it would stand in the file, without quotes; ignored when required
  std::int64_t minimum = 0;        // of integer, size and duration; both 0: no range
  std::int64_t maximum = 0;
  bool required = false;
  const char* help = "";  // one line
};

// The member that the type of the key calls for is set: text and path use `text`, boolean uses `integer` (0 or 1).
// Lent for the duration of create(): copy what is needed.
struct ConfigValue {
  Text text{};
  std::int64_t integer = 0;
};

}  // namespace rideau
