// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/check_names.hpp"

#include "framework/base/checksum.hpp"

#include <algorithm>
#include <set>

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

struct Search {
  std::vector<NameOp> ops;  // by invocation
  std::uint64_t states_left;
  Done done;
  std::set<std::uint64_t> seen{};
  std::size_t begun = 0;  // every call before this index is done
  std::vector<std::size_t> order{};
  std::vector<std::size_t> longest{};
  std::string longest_state{};

  bool run(const ModelNames& state);
};

bool Search::run(const ModelNames& state) {
  std::size_t first = begun;
  while (first < ops.size() && done.has(first)) ++first;
  if (first == ops.size()) return true;
  if (!seen.insert(done.hash(state.hash())).second) return false;
  if (states_left == 0) return false;
  --states_left;
  // Whoever was called before the earliest return may come next.
  Tick earliest = ~Tick{0};
  std::vector<std::size_t> candidates;
  for (std::size_t i = first; i < ops.size() && ops[i].invoked < earliest; ++i) {
    if (done.has(i)) continue;
    candidates.push_back(i);
    earliest = std::min(earliest, ops[i].returned);
  }
  std::sort(candidates.begin(), candidates.end(),
            [this](std::size_t a, std::size_t b) { return ops[a].returned < ops[b].returned; });
  const std::size_t outer = begun;
  for (const std::size_t candidate : candidates) {
    ModelNames next = state;
    if (!next.apply(ops[candidate])) continue;
    begun = first;
    done.flip(candidate);
    order.push_back(candidate);
    if (order.size() > longest.size()) {
      longest = order;
      longest_state = next.to_text();
    }
    if (run(next)) return true;
    order.pop_back();
    done.flip(candidate);
    begun = outer;
  }
  return false;
}

}  // namespace

NamesVerdict check_names(std::vector<NameOp> ops, const ModelNames& begin, std::uint64_t states_max) {
  std::sort(ops.begin(), ops.end(), [](const NameOp& a, const NameOp& b) { return a.invoked < b.invoked; });
  const std::size_t count = ops.size();
  Search search{std::move(ops), states_max, Done(count)};
  NamesVerdict verdict;
  verdict.linearizable = search.run(begin);
  if (verdict.linearizable) return verdict;
  verdict.gave_up = search.states_left == 0;
  verdict.why = "after " + std::to_string(search.longest.size()) + " of " + std::to_string(count) + " calls\n";
  verdict.why += "the state\n" + search.longest_state + "fits none of\n";
  const std::set<std::size_t> fit(search.longest.begin(), search.longest.end());
  Tick earliest = ~Tick{0};
  for (std::size_t i = 0; i < count && search.ops[i].invoked < earliest; ++i) {
    if (fit.count(i) != 0) continue;
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
