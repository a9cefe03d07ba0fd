// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/run_seed.hpp"

#include "framework/wire/envelope.hpp"
#include "tests/sim/cluster.hpp"

namespace rideau::sim {
namespace {

// Without faults, nothing takes that long; a call that does is stuck, whatever timer would end it later.
constexpr std::uint64_t kCallNsMax = 20 * kSecond;
constexpr std::uint64_t kEventsMax = 20'000'000;

std::string run_workload(SimWorld& world, Cluster& cluster, Workload& workload) {
  std::string problem = cluster.run(cluster.mounts()[0], workload.prepare(cluster.mounts()[0]), "prepare");
  if (!problem.empty()) return problem;
  if (!workload.history().failures.empty()) return workload.check();
  workload.start(cluster.mounts());
  while (workload.running() > 0) {
    const std::uint64_t before = workload.calls_returned();
    const auto moved = [&] {
      return workload.running() == 0 || workload.calls_returned() != before || world.events() > kEventsMax;
    };
    const SimWorld::End end = world.run_until(moved, world.now_ns() + kCallNsMax);
    if (end == SimWorld::End::done && world.events() <= kEventsMax) continue;
    problem = world.events() > kEventsMax   ? "too many events"
              : end == SimWorld::End::stuck ? "nobody goes on"
                                            : "stuck";
    return problem + "; calls that have not returned:\n" + workload.waiting() + cluster.describe();
  }
  return {};
}

std::string run(SimWorld& world, Cluster& cluster, Workload& workload, bool with_checks) {
  std::string problem = cluster.start();
  if (problem.empty() && with_checks) cluster.begin_checks();
  if (problem.empty()) problem = run_workload(world, cluster, workload);
  if (problem.empty() && with_checks) problem = cluster.end_checks();
  if (!problem.empty()) return problem;
  Mount* fresh = cluster.add_client(&problem);
  if (fresh == nullptr) return problem;
  problem = cluster.run(*fresh, workload.look(*fresh), "look at everything from a new client");
  if (problem.empty()) problem = workload.check();
  // What is left to the check at the end: everything, or nothing.
  const bool empties = world.random().chance(50);
  if (problem.empty() && empties) problem = cluster.run(*fresh, workload.clean(*fresh), "remove everything");
  if (problem.empty()) problem = workload.check();
  if (problem.empty()) problem = cluster.stop(empties);
  return problem;
}

}  // namespace

SeedResult run_seed(std::uint64_t seed, KernelBug bug, bool blocks, std::FILE* trace) {
  SimWorld world(seed);
  world.set_trace(trace);
  SeedResult result;
  {
    ClusterOptions of_cluster;
    of_cluster.kernel.bug = bug;
    of_cluster.blocks = blocks;
    Cluster cluster(world, of_cluster);
    WorkloadOptions options;
    options.processes = 1 + static_cast<std::uint32_t>(world.random().below(3));
    options.names = 2 + static_cast<std::uint32_t>(world.random().below(4));
    options.calls = 36 / options.processes;
    Workload workload(world, options);
    // Not by chance: without checks a seed means the same as before there were any.
    result.problem = run(world, cluster, workload, seed % 4 == 0);
    result.calls = workload.calls_returned();
  }
  result.hash = world.hash();
  result.events = world.events();
  result.virtual_ns = world.now_ns();
  return result;
}

}  // namespace rideau::sim
