// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/failure_story.hpp"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

namespace rideau::sim {
namespace {

constexpr std::size_t kLinesMax = 60;

// "   0.575846 mds0     info: killed, and its power is cut"
struct Line {
  std::string_view whole;
  std::string_view node;
  std::string_view text;
};

Line parse(std::string_view whole) {
  Line line;
  line.whole = whole;
  const std::size_t node = whole.find_first_not_of(' ', whole.find(' ', whole.find_first_not_of(' ')));
  const std::size_t node_end = whole.find(' ', node);
  const std::size_t text = whole.find_first_not_of(' ', node_end);
  if (node == std::string_view::npos || node_end == std::string_view::npos || text == std::string_view::npos)
    return line;
  line.node = whole.substr(node, node_end - node);
  line.text = whole.substr(text);
  return line;
}

std::vector<Line> lines_of(std::string_view account) {
  std::vector<Line> lines;
  while (!account.empty()) {
    const std::size_t end = std::min(account.find('\n'), account.size());
    lines.push_back(parse(account.substr(0, end)));
    account.remove_prefix(std::min(end + 1, account.size()));
  }
  return lines;
}

bool has(std::string_view text, std::string_view what) { return text.find(what) != std::string_view::npos; }

// "[178 to 184] client2.1 ..."
struct Call {
  std::string_view begin;  // "178"
  std::string_view times;  // "[178 to 184] client2.1"
  std::string_view who;    // "client2.1"
  bool returned = false;
};

// All that the problem names; the first one shows it.
std::vector<Call> calls_of(std::string_view problem) {
  std::vector<Call> calls;
  for (std::size_t at = problem.find('['); at != std::string_view::npos; at = problem.find('[', at + 1)) {
    const std::size_t to = problem.find(" to ", at);
    const std::size_t close = problem.find("] ", at);
    if (to == std::string_view::npos || close == std::string_view::npos || to > close) continue;
    const std::size_t end = std::min(problem.find_first_of(" \n", close + 2), problem.size());
    Call call;
    call.begin = problem.substr(at + 1, to - at - 1);
    call.times = problem.substr(at, end - at);
    call.who = problem.substr(close + 2, end - close - 2);
    call.returned = problem.substr(to + 4, close - to - 4) != "never";
    calls.push_back(call);
  }
  return calls;
}

std::string_view client_of(std::string_view who) { return who.substr(0, who.find('.')); }

std::string_view trace_of(std::string_view text) {
  constexpr std::string_view kTrace = "trace ";
  constexpr std::size_t kDigits = 16;
  const std::size_t at = text.find(kTrace);
  return at == std::string_view::npos ? std::string_view() : text.substr(at + kTrace.size(), kDigits);
}

bool concerns_all(const Line& line) {
  return line.node == "world" ? has(line.text, "fault ")
                              : line.text.starts_with("info: ") || line.text.starts_with("warning: ") ||
                                    line.text.starts_with("error: ");
}

// From where the call began to where it returned, or to the end.
std::pair<std::size_t, std::size_t> window_of(const std::vector<Line>& lines, const Call& call) {
  std::size_t end = lines.size();
  for (std::size_t i = 0; call.returned && i < lines.size(); ++i) {
    if (has(lines[i].text, call.times)) end = i + 1;
  }
  // Calls on bytes are traced when they return: then it began behind the one before it of the same process.
  const std::string begins = "calls [" + std::string(call.begin) + " to ";
  const std::string before = "] " + std::string(call.who) + " ";
  std::size_t begin = 0;
  for (std::size_t i = 0; i + 1 < end; ++i) {
    if (has(lines[i].text, begins) || has(lines[i].text, before)) begin = i;
  }
  return {begin, end};
}

// The lines of one call: requests of its client's kernel, and each message of what its client asked meanwhile.
void tell_call(const std::vector<Line>& lines, const Call& call, std::set<std::size_t>* page) {
  const auto [begin, end] = window_of(lines, call);
  const std::string_view client = client_of(call.who);
  const std::string from_client = "from " + std::string(client) + ":";
  std::set<std::string_view> traces;
  for (std::size_t i = begin; i < end; ++i) {
    const std::string_view trace = trace_of(lines[i].text);
    if (lines[i].text.starts_with(from_client) && !trace.empty()) traces.insert(trace);
  }
  for (std::size_t i = begin; i < end; ++i) {
    const bool of_kernel = lines[i].node == client && lines[i].text.starts_with("kernel: ");
    if (of_kernel || traces.count(trace_of(lines[i].text)) != 0) page->insert(i);
  }
}

// Where clients and servers are there, and it begins.
std::size_t first_fault(const std::vector<Line>& lines) {
  const auto planned = [](const Line& line) { return line.node == "world" && has(line.text, "planned fault"); };
  const auto found = std::find_if(lines.begin(), lines.end(), planned);
  return found != lines.end() ? static_cast<std::size_t>(found - lines.begin()) : 0;
}

}  // namespace

std::string tell_failure(const std::string& account, const std::string& problem) {
  const std::vector<Line> lines = lines_of(account);
  const std::vector<Call> calls = calls_of(problem);
  std::set<std::size_t> page;
  if (!calls.empty()) {
    tell_call(lines, calls.front(), &page);
    tell_call(lines, calls.back(), &page);
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto names = [&](const Call& call) { return has(lines[i].text, call.times); };
    if (std::any_of(calls.begin(), calls.end(), names)) page.insert(i);
  }
  const std::size_t begin = page.empty() ? first_fault(lines) : *page.begin();
  const std::size_t end = page.empty() || !calls.front().returned ? lines.size() : *page.rbegin();
  for (std::size_t i = begin; i < end; ++i) {
    if (concerns_all(lines[i])) page.insert(i);
  }
  std::string out;
  std::size_t number = 0;
  for (const std::size_t i : page) {
    const bool shown = page.size() <= kLinesMax || number < kLinesMax / 2 || number + kLinesMax / 2 >= page.size();
    if (shown) out += std::string(lines[i].whole) + "\n";
    if (!shown && number == kLinesMax / 2) out += "  ... " + std::to_string(page.size() - kLinesMax) + " lines ...\n";
    ++number;
  }
  return out;
}

}  // namespace rideau::sim
