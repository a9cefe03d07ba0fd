// SPDX-License-Identifier: Apache-2.0
// What is wrong with a configuration, and where. All problems of a file are reported at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rideau {

struct Problem {
  std::string file;
  std::uint32_t line = 0;  // 0: the file as a whole
  std::string key;         // "node.oss0.listen"; may be empty
  std::string message;
  std::string suggestion;  // the nearest known word; may be empty
};

// file:line: key: message (did you mean "suggestion"?)
std::string to_text(const Problem& problem);
// In the order of the file, each on a line of its own.
std::string to_text(std::vector<Problem> problems);

// The candidate with the fewest edits to `word`, when it is near enough to be what was meant; else empty.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace rideau
