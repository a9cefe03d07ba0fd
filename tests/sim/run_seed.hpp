// SPDX-License-Identifier: Apache-2.0
// One run of the simulator, from a seed to a verdict.
#pragma once

#include "tests/sim/sim_kernel.hpp"

#include <cstdint>
#include <cstdio>
#include <string>

namespace rideau::sim {

struct SeedResult {
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  std::uint64_t calls = 0;  // of the workload
  std::uint64_t virtual_ns = 0;
  std::string problem;  // empty: passed
};

struct RunOptions {
  KernelBug bug = KernelBug::none;  // a planted mistake
  bool blocks = false;              // as in ClusterOptions
  bool faults = false;              // servers are killed and started again while the workload runs
};

// `trace`: where the account of the run goes; null: nowhere.
SeedResult run_seed(std::uint64_t seed, const RunOptions& how, std::FILE* trace);

}  // namespace rideau::sim
