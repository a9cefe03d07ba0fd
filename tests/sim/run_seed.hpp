// SPDX-License-Identifier: Apache-2.0
// One run of the simulator, from a seed to a verdict.
#pragma once

#include "tests/sim/fault_plan.hpp"
#include "tests/sim/sim_kernel.hpp"

#include <cstdint>
#include <cstdio>
#include <set>
#include <string>

namespace rideau::sim {

struct SeedResult {
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  std::uint64_t calls = 0;  // of the workload
  std::uint64_t virtual_ns = 0;
  std::uint32_t calls_planned = 0;
  std::uint32_t faults_planned = 0;
  std::uint32_t undecided = 0;  // searches for an order of the calls on names that were given up
  std::string problem;          // empty: passed
};

struct RunOptions {
  KernelBug bug = KernelBug::none;  // a planted mistake
  bool blocks = false;              // as in ClusterOptions
  bool drain = false;               // an object server is drained meanwhile
  bool maps = false;                // processes store into mapped files
  FaultKinds faults{};              // what may break while the workload runs
  // A smaller history: only these faults of the plan, only these calls of the workload; empty: all.
  std::set<std::uint32_t> only_faults;
  std::set<std::uint32_t> only_calls;
};

// `trace`: where the account of the run goes; null: nowhere.
SeedResult run_seed(std::uint64_t seed, const RunOptions& how, std::FILE* trace);

}  // namespace rideau::sim
