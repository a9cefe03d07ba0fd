// SPDX-License-Identifier: Apache-2.0
#include "framework/config/table_reader.hpp"

#include "framework/config/units.hpp"

#include <algorithm>

namespace rideau {

std::string TableReader::path_of(const char* key) const {
  if (key == nullptr || *key == '\0') return path_;
  return path_.empty() ? key : path_ + "." + key;
}

void TableReader::problem(std::uint32_t line, const char* key, const std::string& message,
                          const std::string& suggestion) {
  problems_->push_back({file_, line, path_of(key), message, suggestion});
}

void TableReader::missing(const char* key, const std::string& what) {
  problem(table_.line, key, "is missing: " + what);
}

const ConfigNode* TableReader::any(const char* key) {
  known_.emplace_back(key);
  return table_.find(key);
}

const ConfigNode* TableReader::expect(const char* key, ConfigNode::Kind kind, const char* wanted) {
  const ConfigNode* found = any(key);
  if (found == nullptr || found->kind == kind) return found;
  problem(found->line, key, std::string("wants ") + wanted + ", not " + kind_name(found->kind));
  return nullptr;
}

const ConfigNode* TableReader::table(const char* key) { return expect(key, ConfigNode::Kind::table, "a table"); }

bool TableReader::text(const char* key, std::string* out) {
  const ConfigNode* found = expect(key, ConfigNode::Kind::text, "text in quotes");
  if (found == nullptr) return false;
  *out = found->text;
  return true;
}

bool TableReader::boolean(const char* key, bool* out) {
  const ConfigNode* found = expect(key, ConfigNode::Kind::boolean, "true or false");
  if (found == nullptr) return false;
  *out = found->integer != 0;
  return true;
}

bool TableReader::integer(const char* key, std::int64_t minimum, std::int64_t maximum, std::int64_t* out) {
  const ConfigNode* found = expect(key, ConfigNode::Kind::integer, "a number");
  if (found == nullptr) return false;
  if (found->integer < minimum || found->integer > maximum) {
    problem(found->line, key,
            "is " + std::to_string(found->integer) + "; wants " + std::to_string(minimum) + " to " +
                std::to_string(maximum));
    return false;
  }
  *out = found->integer;
  return true;
}

bool TableReader::size(const char* key, std::uint64_t minimum, std::uint64_t maximum, std::uint64_t* out) {
  const ConfigNode* found = any(key);
  if (found == nullptr) return false;
  std::optional<std::int64_t> bytes;
  if (found->kind == ConfigNode::Kind::text) bytes = parse_size(found->text);
  if (found->kind == ConfigNode::Kind::integer && found->integer >= 0) bytes = found->integer;
  if (!bytes.has_value()) {
    problem(found->line, key, "wants a size such as \"64 KiB\"");
    return false;
  }
  const auto value = static_cast<std::uint64_t>(*bytes);
  if (value < minimum || value > maximum) {
    problem(found->line, key,
            "is " + size_text(*bytes) + "; wants " + size_text(static_cast<std::int64_t>(minimum)) + " to " +
                size_text(static_cast<std::int64_t>(maximum)));
    return false;
  }
  *out = value;
  return true;
}

bool TableReader::duration(const char* key, std::uint64_t maximum_ns, std::uint64_t* out_ns) {
  const ConfigNode* found = any(key);
  if (found == nullptr) return false;
  std::optional<std::int64_t> ns;
  if (found->kind == ConfigNode::Kind::text) ns = parse_duration_ns(found->text);
  if (!ns.has_value()) {
    problem(found->line, key, "wants a duration with its unit, such as \"5 s\" or \"20 us\"");
    return false;
  }
  if (static_cast<std::uint64_t>(*ns) > maximum_ns) {
    problem(found->line, key,
            "is " + duration_text(*ns) + "; wants at most " + duration_text(static_cast<std::int64_t>(maximum_ns)));
    return false;
  }
  *out_ns = static_cast<std::uint64_t>(*ns);
  return true;
}

void TableReader::finish() {
  for (const ConfigEntry& entry : table_.entries) {
    if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
    problem(entry.value.line, entry.key.c_str(), "is unknown here", nearest(entry.key, known_));
  }
}

}  // namespace rideau
