// SPDX-License-Identifier: Apache-2.0
// Are the names linearizable? Searches for an order of the calls that respects who returned before whom was called, and
// in which the model gives every call the answer it got (Wing and Gong, 1993; with the memory of states of Lowe, 2017).
#pragma once

#include "tests/sim/model_fs.hpp"

#include <string>
#include <vector>

namespace rideau::sim {

struct NamesVerdict {
  bool linearizable = false;
  bool gave_up = false;  // over the budget of states: neither yes nor no
  std::string why;       // the longest prefix that fits, and the calls that do not
};

// The calls of one group, in any order; `begin` is the state before all of them.
NamesVerdict check_names(std::vector<NameOp> ops, const ModelNames& begin, std::uint64_t states_max = 200'000);

}  // namespace rideau::sim
