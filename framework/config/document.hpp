// SPDX-License-Identifier: Apache-2.0
// A TOML file as a plain tree with line numbers. What the parser library looks like is known in document.cpp alone.
#pragma once

#include "framework/config/problem.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rideau {

struct ConfigEntry;

struct ConfigNode {
  enum class Kind { table, array, text, integer, floating, boolean, time };
  Kind kind = Kind::table;
  std::uint32_t line = 0;
  std::string text;                  // of text
  std::int64_t integer = 0;          // of integer, and 0 or 1 of boolean
  std::vector<ConfigEntry> entries;  // of a table, in the order of the file
  std::vector<ConfigNode> items;     // of an array

  const ConfigNode* find(std::string_view key) const;
};

struct ConfigEntry {
  std::string key;
  ConfigNode value;
};

const char* kind_name(ConfigNode::Kind kind);  // "a table", "text", …

// False when the file cannot be read or is no TOML; then there is one more problem. `name` is used in problems.
bool parse_document(std::string_view text, const std::string& name, ConfigNode* out, std::vector<Problem>* problems);
bool read_document(const std::string& path, ConfigNode* out, std::vector<Problem>* problems);

}  // namespace rideau
