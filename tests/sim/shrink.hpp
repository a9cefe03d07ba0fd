// SPDX-License-Identifier: Apache-2.0
// Makes a failing run smaller: leaves out faults and calls as long as it fails in the same way.
#pragma once

#include "tests/sim/run_seed.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace rideau::sim {

// In which way a run failed, without the numbers of this one.
std::string kind_of(const std::string& problem);

// "0-3,7"; "none" where the set names nothing that there is.
std::string to_text(const std::set<std::uint32_t>& numbers);
bool parse_numbers(const std::string& text, std::set<std::uint32_t>* to);

struct Shrunk {
  RunOptions how;
  std::string problem;
  std::uint32_t runs = 0;
  std::size_t faults = 0;  // that are left
  std::size_t calls = 0;
};

// `run` answers what is wrong with a run, also when it crashes. `failed` is what it answered for `how`. At most
// `runs_max` runs.
Shrunk shrink(const RunOptions& how, const SeedResult& failed, std::uint32_t runs_max,
              const std::function<std::string(const RunOptions&)>& run);

}  // namespace rideau::sim
