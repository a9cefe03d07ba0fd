// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/run_seed.hpp"

#include "framework/wire/envelope.hpp"
#include "tests/sim/cluster.hpp"

namespace rideau::sim {
namespace {

// Without faults, nothing takes that long; a call that does is stuck, whatever timer would end it later.
constexpr std::uint64_t kCallNsMax = 20 * kSecond;
constexpr std::uint64_t kEventsMax = 20'000'000;

// Kills servers at any moment of a run, also several, and starts them again, and breaks links. The power of the
// metadata server is cut as well; what object servers lose then, clients cannot make good yet.
class Faults {
 public:
  Faults(SimWorld& world, Cluster& cluster, bool wanted, bool blocks)
      : world_(world), cluster_(cluster), victims_(blocks ? 1 : cluster.server_count()) {
    if (!wanted) return;
    left_ = 1 + static_cast<std::uint32_t>(world_.random().below(4));
    cuts_ = static_cast<std::uint32_t>(world_.random().below(5));
    next_ns_ = world_.now_ns() + world_.random().below(80 * kMillisecond);
  }
  bool due() const noexcept { return next_ns_ != 0 && world_.now_ns() >= next_ns_; }
  // Nothing is broken any more after this, and it stays so.
  void end() {
    left_ = cuts_ = 0;
    while (next_ns_ != 0) step();
  }
  void step() {
    Random& random = world_.random();
    if (cuts_ > 0 && random.chance(50)) {
      --cuts_;
      cluster_.cut_a_link();
      next_ns_ = world_.now_ns() + 1 + random.below(20 * kMillisecond);
      return;
    }
    std::vector<std::size_t> up;
    std::vector<std::size_t> down;
    for (std::size_t i = 0; i < victims_; ++i) (cluster_.is_up(i) ? up : down).push_back(i);
    const bool one_more = left_ > 0 && !up.empty() && random.chance(20);
    if (!down.empty() && !one_more) {
      cluster_.restart_server(down[random.below(down.size())]);
      // Also during recovery.
      const std::uint64_t soon = random.chance(40) ? 10 * kMillisecond : 2 * kSecond;
      next_ns_ = left_ > 0 || down.size() > 1 ? world_.now_ns() + 1 + random.below(soon) : 0;
      return;
    }
    if (left_ == 0) {
      next_ns_ = 0;
      return;
    }
    --left_;
    const bool meta_server = up.front() == kMetaServer && random.chance(50);
    const std::size_t victim = meta_server ? kMetaServer : up[random.below(up.size())];
    cluster_.kill_server(victim, victim == kMetaServer && random.chance(50));
    next_ns_ = world_.now_ns() + 1 + random.below(random.chance(50) ? 20 * kMillisecond : kSecond);
  }

 private:
  static constexpr std::size_t kMetaServer = 0;
  SimWorld& world_;
  Cluster& cluster_;
  const std::size_t victims_;  // the first so many servers
  std::uint32_t left_ = 0;     // kills
  std::uint32_t cuts_ = 0;     // of links
  std::uint64_t next_ns_ = 0;  // when the next step is due; 0: none
};

std::string run_workload(SimWorld& world, Cluster& cluster, Workload& workload, bool with_faults, bool blocks) {
  std::string problem = cluster.run(cluster.mounts()[0], workload.prepare(cluster.mounts()[0]), "prepare");
  if (!problem.empty()) return problem;
  if (!workload.history().failures.empty()) return workload.check();
  workload.start(cluster.mounts());
  Faults faults(world, cluster, with_faults, blocks);
  while (workload.running() > 0) {
    const std::uint64_t before = workload.calls_returned();
    const auto moved = [&] {
      return workload.running() == 0 || workload.calls_returned() != before || world.events() > kEventsMax ||
             faults.due();
    };
    const SimWorld::End end = world.run_until(moved, world.now_ns() + kCallNsMax);
    if (faults.due()) faults.step();
    problem = cluster.start_problem();
    if (!problem.empty()) return problem;
    if (end == SimWorld::End::done && world.events() <= kEventsMax) continue;
    problem = world.events() > kEventsMax   ? "too many events"
              : end == SimWorld::End::stuck ? "nobody goes on"
                                            : "stuck";
    return problem + "; calls that have not returned:\n" + workload.waiting() + cluster.describe();
  }
  faults.end();
  return {};
}

std::string run(SimWorld& world, Cluster& cluster, Workload& workload, bool with_checks, bool with_faults,
                bool blocks) {
  std::string problem = cluster.start();
  if (problem.empty() && with_checks) cluster.begin_checks();
  if (problem.empty()) problem = run_workload(world, cluster, workload, with_faults, blocks);
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

SeedResult run_seed(std::uint64_t seed, const RunOptions& how, std::FILE* trace) {
  SimWorld world(seed);
  world.set_trace(trace);
  SeedResult result;
  {
    ClusterOptions of_cluster;
    of_cluster.kernel.bug = how.bug;
    of_cluster.blocks = how.blocks;
    Cluster cluster(world, of_cluster);
    WorkloadOptions options;
    options.processes = 1 + static_cast<std::uint32_t>(world.random().below(3));
    options.names = 2 + static_cast<std::uint32_t>(world.random().below(4));
    options.calls = 36 / options.processes;
    Workload workload(world, options);
    // Not by chance: without checks a seed means the same as before there were any. The check does not outlive a
    // server.
    result.problem = run(world, cluster, workload, seed % 4 == 0 && !how.faults, how.faults, how.blocks);
    result.calls = workload.calls_returned();
  }
  result.hash = world.hash();
  result.events = world.events();
  result.virtual_ns = world.now_ns();
  return result;
}

}  // namespace rideau::sim
