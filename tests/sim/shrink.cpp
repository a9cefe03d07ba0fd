// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/shrink.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <vector>

namespace rideau::sim {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;  // no fault and no call has this number

using Numbers = std::vector<std::uint32_t>;

std::set<std::uint32_t> as_set(const Numbers& numbers) {
  if (numbers.empty()) return {kNone};
  return {numbers.begin(), numbers.end()};
}

Numbers all_of(const std::set<std::uint32_t>& only, std::uint32_t count) {
  Numbers numbers;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (only.empty() || only.count(i) != 0) numbers.push_back(i);
  }
  return numbers;
}

class Shrinker {
 public:
  Shrinker(Shrunk& result, std::uint32_t runs_max, const std::function<std::string(const RunOptions&)>& run)
      : result_(result), kind_(kind_of(result.problem)), runs_max_(runs_max), run_(run) {}

  // Leaves out portions, each time half as large (Zeller and Hildebrandt, 2002, without its complements: what is left
  // out stays out).
  void reduce(Numbers& numbers, std::set<std::uint32_t> RunOptions::*field) {
    for (std::size_t portion = (numbers.size() + 1) / 2; portion > 0;) {
      bool any = false;
      for (std::size_t at = 0; at < numbers.size();) {
        Numbers fewer = numbers;
        const std::size_t end = std::min(at + portion, fewer.size());
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at), fewer.begin() + static_cast<std::ptrdiff_t>(end));
        if (fails_with(fewer, field)) {
          numbers = std::move(fewer);
          any = true;
        } else {
          at += portion;
        }
        if (result_.runs >= runs_max_) return;
      }
      if (portion == 1 && any) continue;  // once more: one may have rested on another
      portion = portion == 1 ? 0 : (portion + 1) / 2;
    }
  }

 private:
  bool fails_with(const Numbers& numbers, std::set<std::uint32_t> RunOptions::*field) {
    RunOptions smaller = result_.how;
    smaller.*field = as_set(numbers);
    ++result_.runs;
    const std::string problem = run_(smaller);
    if (problem.empty() || kind_of(problem) != kind_) return false;
    result_.how = smaller;
    result_.problem = problem;
    return true;
  }

  Shrunk& result_;
  const std::string kind_;
  const std::uint32_t runs_max_;
  const std::function<std::string(const RunOptions&)>& run_;
};

}  // namespace

std::string kind_of(const std::string& problem) {
  std::string kind;
  for (const char c : problem.substr(0, problem.find('\n'))) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) continue;
    if (c == '[' || c == '{' || c == '"') break;
    kind += c;
    if (c == ':' && kind.size() > 40) break;
  }
  return kind;
}

std::string to_text(const std::set<std::uint32_t>& numbers) {
  std::string text;
  for (auto at = numbers.begin(); at != numbers.end();) {
    if (*at == kNone) break;
    const std::uint32_t first = *at;
    std::uint32_t last = first;
    for (++at; at != numbers.end() && *at == last + 1; ++at) last = *at;
    text += (text.empty() ? "" : ",") + std::to_string(first);
    if (last != first) text += "-" + std::to_string(last);
  }
  return text.empty() ? "none" : text;
}

bool parse_numbers(const std::string& text, std::set<std::uint32_t>* to) {
  if (text == "none") {
    to->insert(kNone);
    return true;
  }
  const char* at = text.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    const unsigned long first = std::strtoul(at, &end, 10);
    if (end == at) return false;
    unsigned long last = first;
    if (*end == '-') {
      at = end + 1;
      last = std::strtoul(at, &end, 10);
      if (end == at) return false;
    }
    if (last < first || last - first > 100'000) return false;
    for (unsigned long i = first; i <= last; ++i) to->insert(static_cast<std::uint32_t>(i));
    if (*end != ',' && *end != '\0') return false;
    at = *end == ',' ? end + 1 : end;
  }
  return !to->empty();
}

Shrunk shrink(const RunOptions& how, const SeedResult& failed, std::uint32_t runs_max,
              const std::function<std::string(const RunOptions&)>& run) {
  Shrunk result;
  result.how = how;
  result.problem = failed.problem;
  Numbers faults = all_of(how.only_faults, failed.faults_planned);
  Numbers calls = all_of(how.only_calls, failed.calls_planned);
  Shrinker shrinker(result, runs_max, run);
  shrinker.reduce(faults, &RunOptions::only_faults);
  shrinker.reduce(calls, &RunOptions::only_calls);
  shrinker.reduce(faults, &RunOptions::only_faults);
  result.faults = faults.size();
  result.calls = calls.size();
  return result;
}

}  // namespace rideau::sim
