// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/check_bytes.hpp"

#include <algorithm>

namespace rideau::sim {
namespace {

void change(std::string& contents, const DataOp& op) {
  if (op.call == DataCall::truncate) {
    contents.resize(op.size, '\0');
    return;
  }
  if (contents.size() < op.offset + op.size) contents.resize(op.offset + op.size, '\0');
  for (std::uint64_t i = 0; i < op.size; ++i) {
    contents[op.offset + i] = static_cast<char>(stamp_byte(op.stamp, op.offset + i));
  }
}

bool is_change(const DataOp& op) { return op.call == DataCall::write || op.call == DataCall::truncate; }

// The bytes of a read against the states it may have met.
std::string check_read(const DataOp& read, const std::vector<std::string>& states, bool cut_meanwhile) {
  const auto visible = [&read](const std::string& state) {
    return state.size() > read.offset ? std::min<std::uint64_t>(read.size, state.size() - read.offset) : 0;
  };
  std::uint64_t shortest = ~0ull;
  std::uint64_t longest = 0;
  bool exact = false;
  for (const std::string& state : states) {
    const std::uint64_t size = visible(state);
    shortest = std::min(shortest, size);
    longest = std::max(longest, size);
    exact = exact || size == read.bytes.size();
  }
  // A read beside a truncate may stop in between, where the kernel looked at size and pages at different times. So may
  // one that goes on over several requests beside writes that let the file grow.
  const bool between = read.bytes.size() >= shortest && read.bytes.size() <= longest;
  if (!exact && !(states.size() > 1 && between)) {
    return to_text(read) + ": the size of what was read fits no state (expected " + std::to_string(shortest) + " to " +
           std::to_string(longest) + ")";
  }
  for (std::uint64_t i = 0; i < read.bytes.size(); ++i) {
    const char byte = read.bytes[i];
    const bool fits =
        (cut_meanwhile && byte == '\0') || std::any_of(states.begin(), states.end(), [&](const std::string& state) {
          return read.offset + i < state.size() && state[read.offset + i] == byte;
        });
    if (fits) continue;
    std::string text = to_text(read) + ": byte " + std::to_string(read.offset + i) + " is " +
                       std::to_string(static_cast<unsigned char>(byte)) + ", the states have";
    for (const std::string& state : states) {
      text += read.offset + i < state.size() ? " " + std::to_string(static_cast<unsigned char>(state[read.offset + i]))
                                             : std::string(" none");
    }
    return text;
  }
  return {};
}

}  // namespace

std::string check_bytes(std::vector<DataOp> ops) {
  std::sort(ops.begin(), ops.end(), [](const DataOp& a, const DataOp& b) { return a.invoked < b.invoked; });
  std::vector<DataOp> changes;
  std::copy_if(ops.begin(), ops.end(), std::back_inserter(changes), is_change);
  std::string base;  // the state after the first `applied` changes
  std::size_t applied = 0;
  // Reads in the order of their calls: what had returned before one had returned before all later ones.
  for (const DataOp& read : ops) {
    if (is_change(read)) continue;
    while (applied < changes.size() && changes[applied].returned != 0 && changes[applied].returned < read.invoked) {
      change(base, changes[applied++]);
    }
    std::vector<std::string> states{base};
    bool cut_meanwhile = false;
    for (std::size_t i = applied; i < changes.size() && changes[i].invoked < read.returned; ++i) {
      cut_meanwhile = cut_meanwhile || changes[i].call == DataCall::truncate;
      states.push_back(states.back());
      change(states.back(), changes[i]);
    }
    if (read.call == DataCall::size) {
      const auto fits = [&read](const std::string& state) { return state.size() == read.size; };
      // A large write is several requests, and its size may be seen to grow.
      const auto [low, high] = std::minmax_element(states.begin(), states.end(),
                                                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
      const bool between = states.size() > 1 && read.size >= low->size() && read.size <= high->size();
      if (std::any_of(states.begin(), states.end(), fits) || between) continue;
      return to_text(read) + ": no state has that size (expected " + std::to_string(low->size()) + " to " +
             std::to_string(high->size()) + ")";
    }
    std::string wrong = check_read(read, states, cut_meanwhile);
    if (!wrong.empty()) return wrong;
  }
  return {};
}

}  // namespace rideau::sim
