// SPDX-License-Identifier: Apache-2.0
#include "framework/config/problem.hpp"

#include <algorithm>
#include <tuple>

namespace rideau {
namespace {

constexpr std::size_t kWordBytesMax = 64;  // longer words are not compared

// Levenshtein distance, with a swap of neighbours as one edit.
std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = above;
    above = row;
  }
  return above[b.size()];
}

}  // namespace

std::string to_text(const Problem& problem) {
  std::string text = problem.file;
  if (problem.line != 0) text += ":" + std::to_string(problem.line);
  if (!problem.key.empty()) text += ": " + problem.key;
  text += ": " + problem.message;
  if (!problem.suggestion.empty()) text += " (did you mean \"" + problem.suggestion + "\"?)";
  // Keys come from the file; nothing in it may forge a line or steer a terminal.
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string to_text(std::vector<Problem> problems) {
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.file, a.line, a.key) < std::tie(b.file, b.line, b.key);
  });
  // What several nodes inherit from one line is one problem.
  std::string text;
  std::string before;
  for (const Problem& problem : problems) {
    const std::string line = to_text(problem) + "\n";
    if (line != before) text += line;
    before = line;
  }
  return text;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() > kWordBytesMax) return {};
  std::string best;
  std::size_t best_edits = 1 + std::max<std::size_t>(1, word.size() / 3);  // near enough: below this
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kWordBytesMax) continue;
    const std::size_t edits = edits_between(word, candidate);
    if (edits < best_edits && edits < candidate.size()) {
      best = candidate;
      best_edits = edits;
    }
  }
  return best;
}

}  // namespace rideau
