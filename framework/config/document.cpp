// SPDX-License-Identifier: Apache-2.0
// The only user of toml++.
#include "framework/config/document.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <toml++/toml.h>

namespace rideau {
namespace {

constexpr std::size_t kFileBytesMax = 4u << 20;

// Nothing that a schema knows is nested deeper; what is, becomes empty and is reported as unknown where it begins.
constexpr int kDepthMax = 32;
// A dotted key makes a table for each dot, and the parser frees nested tables by recursion.
constexpr int kDotsMax = 64;

ConfigNode convert(const toml::node& from, int depth);

ConfigNode convert_table(const toml::table& from, int depth) {
  ConfigNode node;
  if (depth > kDepthMax) return node;
  struct Placed {
    toml::source_position at;
    ConfigEntry entry;
  };
  std::vector<Placed> placed;
  for (auto&& [key, value] : from)
    placed.push_back({key.source().begin, {std::string(key.str()), convert(value, depth + 1)}});
  std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) { return a.at < b.at; });
  for (Placed& item : placed) {
    // The key's place is where a person looks; tables made by a dotted key have none of their own.
    if (item.at.line != 0) item.entry.value.line = item.at.line;
    node.entries.push_back(std::move(item.entry));
  }
  return node;
}

ConfigNode convert(const toml::node& from, int depth) {
  ConfigNode node;
  if (const toml::table* table = from.as_table()) {
    node = convert_table(*table, depth);
  } else if (const toml::array* array = from.as_array()) {
    node.kind = ConfigNode::Kind::array;
    if (depth > kDepthMax) return node;
    for (const toml::node& item : *array) node.items.push_back(convert(item, depth + 1));
  } else if (const auto* text = from.as_string()) {
    node.kind = ConfigNode::Kind::text;
    node.text = text->get();
  } else if (const auto* integer = from.as_integer()) {
    node.kind = ConfigNode::Kind::integer;
    node.integer = integer->get();
  } else if (const auto* boolean = from.as_boolean()) {
    node.kind = ConfigNode::Kind::boolean;
    node.integer = boolean->get() ? 1 : 0;
  } else {
    node.kind = from.is_floating_point() ? ConfigNode::Kind::floating : ConfigNode::Kind::time;
  }
  node.line = from.source().begin.line;
  return node;
}

// The first line with more dots than a key may have; 0 when there is none.
std::uint32_t too_dotted_line(std::string_view text) {
  std::uint32_t line = 1;
  int dots = 0;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      dots = 0;
    } else if (c == '.' && ++dots > kDotsMax) {
      return line;
    }
  }
  return 0;
}

// Reads a regular file whole; an errno, or EFBIG when it is larger than any configuration.
int read_whole(const std::string& path, std::string* out) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return errno;
  struct stat facts {};
  int error = ::fstat(fd, &facts) != 0 ? errno : 0;
  if (error == 0 && S_ISDIR(facts.st_mode)) error = EISDIR;
  char piece[16384];
  while (error == 0) {
    const ssize_t count = ::read(fd, piece, sizeof piece);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) error = errno;
    if (count <= 0) break;
    out->append(piece, static_cast<std::size_t>(count));
    if (out->size() > kFileBytesMax) error = EFBIG;
  }
  ::close(fd);
  return error;
}

}  // namespace

const ConfigNode* ConfigNode::find(std::string_view key) const {
  for (const ConfigEntry& entry : entries) {
    if (entry.key == key) return &entry.value;
  }
  return nullptr;
}

const char* kind_name(ConfigNode::Kind kind) {
  switch (kind) {
    case ConfigNode::Kind::table:
      return "a table";
    case ConfigNode::Kind::array:
      return "a list";
    case ConfigNode::Kind::text:
      return "text";
    case ConfigNode::Kind::integer:
      return "a number";
    case ConfigNode::Kind::floating:
      return "a number with a fraction";
    case ConfigNode::Kind::boolean:
      return "true or false";
    case ConfigNode::Kind::time:
      return "a date or time";
  }
  return "something else";
}

bool parse_document(std::string_view text, const std::string& name, ConfigNode* out, std::vector<Problem>* problems) {
  if (const std::uint32_t line = too_dotted_line(text); line != 0) {
    problems->push_back({name, line, "", "has more than " + std::to_string(kDotsMax) + " dots in one line", ""});
    return false;
  }
  try {
    *out = convert(toml::parse(text, std::string_view(name)), 0);
    out->line = 0;  // the file as a whole
    return true;
  } catch (const toml::parse_error& error) {
    problems->push_back({name, error.source().begin.line, "", "not TOML: " + std::string(error.description()), ""});
    return false;
  }
}

bool read_document(const std::string& path, ConfigNode* out, std::vector<Problem>* problems) {
  std::string text;
  if (const int error = read_whole(path, &text); error != 0) {
    problems->push_back({path, 0, "", std::string("cannot be read: ") + std::strerror(error), ""});
    return false;
  }
  return parse_document(text, path, out, problems);
}

}  // namespace rideau
