// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/check_names.hpp"

#include "framework/base/checksum.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace rideau::sim {
namespace {

// A set of calls as sorted ranges would be small too; bits are simpler, and hash fast.
class Done {
 public:
  explicit Done(std::size_t count) : words_((count + 63) / 64) {}
  bool has(std::size_t index) const { return (words_[index / 64] >> (index % 64) & 1) != 0; }
  void flip(std::size_t index) { words_[index / 64] ^= std::uint64_t{1} << (index % 64); }
  std::uint64_t hash(std::uint64_t seed) const {
    return hash64(Bytes(static_cast<const void*>(words_.data()), words_.size() * 8), seed);
  }

 private:
  std::vector<std::uint64_t> words_;
};

// Of these nobody can say that they were carried out; nothing waits for them.
bool is_optional(const NameOp& op) { return op.unknown || op.may_be_lost; }

// Wherever it is done, it changes nothing; not so a rename between two names of one inode.
bool only_looks(const NameOp& op) {
  if (is_optional(op)) return false;
  return op.error != 0 || op.call == NameCall::lookup || op.call == NameCall::list || op.call == NameCall::attributes ||
         op.call == NameCall::read_link;
}

struct Search {
  std::vector<NameOp> ops;  // by invocation
  std::uint64_t states_left;
  Done done;
  std::size_t missing = 0;  // that are not optional, and not done yet
  std::set<std::uint64_t> seen{};
  std::size_t begun = 0;  // every call before this index is done
  std::vector<std::size_t> order{};
  std::vector<std::size_t> longest{};
  std::string longest_state{};

  bool run(const ModelNames& state);
  // With that call done.
  bool go_on(const ModelNames& next, std::size_t candidate, std::size_t first);
};

bool Search::run(const ModelNames& state) {
  if (missing == 0) return true;
  std::size_t first = begun;
  while (done.has(first)) ++first;
  const std::uint64_t hash = state.hash();
  if (!seen.insert(done.hash(hash)).second) return false;
  if (states_left == 0) return false;
  --states_left;
  // Whoever was called before the earliest return may come next.
  Tick earliest = ~Tick{0};
  std::vector<std::size_t> candidates;
  for (std::size_t i = first; i < ops.size() && ops[i].invoked < earliest; ++i) {
    if (done.has(i)) continue;
    candidates.push_back(i);
    if (!is_optional(ops[i])) earliest = std::min(earliest, ops[i].returned);
  }
  std::sort(candidates.begin(), candidates.end(), [this](std::size_t a, std::size_t b) {
    const bool optional[] = {is_optional(ops[a]), is_optional(ops[b])};
    return optional[0] != optional[1] ? optional[1] : ops[a].returned < ops[b].returned;
  });
  const std::size_t outer = begun;
  std::vector<std::pair<std::size_t, ModelNames>> changes;
  for (const std::size_t candidate : candidates) {
    ModelNames next = state;
    if (!(ops[candidate].unknown ? next.apply_unknown(ops[candidate]) : next.apply(ops[candidate]))) continue;
    const bool changes_it = next.hash() != hash;
    // A look that fits is done now: whatever order there is with it later, there is with it here.
    if (!changes_it && only_looks(ops[candidate])) return go_on(state, candidate, first);
    if (changes_it || !is_optional(ops[candidate])) changes.emplace_back(candidate, std::move(next));
  }
  for (const auto& [candidate, next] : changes) {
    if (go_on(next, candidate, first)) return true;
    begun = outer;
  }
  return false;
}

bool Search::go_on(const ModelNames& next, std::size_t candidate, std::size_t first) {
  const std::size_t counts = is_optional(ops[candidate]) ? 0 : 1;
  begun = first;
  done.flip(candidate);
  missing -= counts;
  order.push_back(candidate);
  if (order.size() > longest.size()) {
    longest = order;
    longest_state = next.to_text();
  }
  if (run(next)) return true;
  order.pop_back();
  missing += counts;
  done.flip(candidate);
  return false;
}

}  // namespace

NamesVerdict check_names(std::vector<NameOp> ops, const ModelNames& begin, std::uint64_t states_max) {
  std::sort(ops.begin(), ops.end(), [](const NameOp& a, const NameOp& b) { return a.invoked < b.invoked; });
  const std::size_t count = ops.size();
  const auto missing = std::count_if(ops.begin(), ops.end(), [](const NameOp& op) { return !is_optional(op); });
  Search search{std::move(ops), states_max, Done(count), static_cast<std::size_t>(missing)};
  NamesVerdict verdict;
  verdict.linearizable = search.run(begin);
  if (verdict.linearizable) return verdict;
  verdict.gave_up = search.states_left == 0;
  verdict.why = "after " + std::to_string(search.longest.size()) + " of " + std::to_string(count) + " calls\n";
  verdict.why += "the state\n" + search.longest_state + "fits none of\n";
  const std::set<std::size_t> fit(search.longest.begin(), search.longest.end());
  Tick earliest = ~Tick{0};
  for (std::size_t i = 0; i < count && search.ops[i].invoked < earliest; ++i) {
    if (fit.count(i) != 0 || is_optional(search.ops[i])) continue;
    verdict.why += "  " + to_text(search.ops[i]) + "\n";
    earliest = std::min(earliest, search.ops[i].returned);
  }
  verdict.why += "the last calls before:\n";
  const std::size_t from = search.longest.size() > 12 ? search.longest.size() - 12 : 0;
  for (std::size_t i = from; i < search.longest.size(); ++i) {
    verdict.why += "  " + to_text(search.ops[search.longest[i]]) + "\n";
  }
  return verdict;
}

}  // namespace rideau::sim
