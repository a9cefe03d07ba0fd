// SPDX-License-Identifier: Apache-2.0
// Takes typed values out of one table and remembers which keys were asked for: what is left over in the end is unknown,
// and the nearest key that would have been known is suggested. Private to this folder.
#pragma once

#include "framework/config/document.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rideau {

class TableReader {
 public:
  // `path` names the table in problems: "node.oss0"; empty for the whole file.
  TableReader(const ConfigNode& table, std::string path, const std::string& file, std::vector<Problem>* problems)
      : table_(table), path_(std::move(path)), file_(file), problems_(problems) {}

  // Each leaves `out` alone when the key is missing or bad, and answers whether it was set.
  bool text(const char* key, std::string* out);
  bool boolean(const char* key, bool* out);
  bool integer(const char* key, std::int64_t minimum, std::int64_t maximum, std::int64_t* out);
  bool size(const char* key, std::uint64_t minimum, std::uint64_t maximum, std::uint64_t* out);
  bool duration(const char* key, std::uint64_t maximum_ns, std::uint64_t* out_ns);
  // The entry of any type, or null.
  const ConfigNode* any(const char* key);
  // The entry when it is a table; another type is a problem.
  const ConfigNode* table(const char* key);

  // A required key that is missing.
  void missing(const char* key, const std::string& what);
  void problem(std::uint32_t line, const char* key, const std::string& message, const std::string& suggestion = {});
  // Everything that nobody asked for is a problem.
  void finish();

  std::uint32_t line() const noexcept { return table_.line; }
  std::string path_of(const char* key) const;
  const std::string& path() const noexcept { return path_; }
  const ConfigNode& node() const noexcept { return table_; }

 private:
  const ConfigNode* expect(const char* key, ConfigNode::Kind kind, const char* wanted);

  const ConfigNode& table_;
  std::string path_;
  const std::string& file_;
  std::vector<Problem>* problems_;
  std::vector<std::string> known_;
};

}  // namespace rideau
