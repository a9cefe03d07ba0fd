// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/run_seed.hpp"

#include "framework/wire/envelope.hpp"
#include "tests/sim/cluster.hpp"
#include "tests/sim/fault_runner.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace rideau::sim {
namespace {

// Without faults, nothing takes that long; a call that does is stuck, whatever timer would end it later.
constexpr std::uint64_t kCallNsMax = 20 * kSecond;
// When everything has healed, all calls end within this: the longest that anybody waits for somebody is for a callback,
// and then for the lease of who did not answer it.
constexpr std::uint64_t kProgressNsMax = 120 * kSecond;
constexpr std::uint64_t kDeadNsMax = 40 * kSecond;
constexpr std::uint64_t kPreparedNs = 500 * kMillisecond;
constexpr std::uint64_t kEventsMax = 20'000'000;

class Run {
 public:
  Run(SimWorld& world, Cluster& cluster, Workload& workload, const RunOptions& how, const FaultPlan& plan)
      : world_(world), cluster_(cluster), workload_(workload), how_(how), plan_(plan) {}

  std::string run(bool with_checks) {
    std::string problem = cluster_.start();
    if (problem.empty() && with_checks) cluster_.begin_checks();
    if (problem.empty()) problem = run_workload();
    // Damaged bytes stay where they are: who drains brings them back, or removes the file, before it can end.
    const bool all_can_move = !workload_.trouble().bytes_rot;
    if (problem.empty() && all_can_move) problem = cluster_.end_drain();
    if (problem.empty() && with_checks) problem = cluster_.end_checks();
    if (problem.empty()) problem = look();
    // What is left to the check at the end: everything, or nothing.
    const bool empties = world_.random().chance(50);
    if (problem.empty() && empties) problem = clean();
    if (problem.empty()) problem = cluster_.stop(empties, !how_.faults.none());
    return problem;
  }

 private:
  std::string run_workload() {
    Mount& first = cluster_.mounts()[0];
    std::string problem = cluster_.run(first, workload_.prepare(first), "prepare");
    if (!problem.empty()) return problem;
    if (!workload_.history().failures.empty()) return workload_.check();
    // What was prepared is durable, so that everybody may rely on it.
    if (!how_.faults.none()) world_.run_for(kPreparedNs);
    workload_.start(cluster_.mounts());
    // To the end of the run: a client may learn late of what it lost.
    faults_ = std::make_unique<FaultRunner>(world_, cluster_, workload_, plan_, how_.only_faults);
    problem = run_to_end();
    if (!problem.empty() || how_.faults.none()) return problem;
    faults_->end();
    return heal();
  }

  // Until all processes have ended, or until the last fault is over.
  std::string run_to_end() {
    const std::uint64_t calls_before = how_.drain ? world_.random().below(16) : UINT64_MAX;
    bool draining = false;
    while (workload_.running() > 0) {
      if (workload_.calls_returned() >= calls_before && !std::exchange(draining, true)) {
        constexpr std::uint64_t kRates[] = {0, 64 * 1024, 512 * 1024, 4096 * 1024};
        cluster_.begin_drain(1 + world_.random().below(cluster_.server_count() - 1), kRates[world_.random().below(4)]);
      }
      cluster_.keep_draining();
      const std::uint64_t before = workload_.calls_returned();
      const auto moved = [&] {
        return workload_.running() == 0 || workload_.calls_returned() != before || world_.events() > kEventsMax ||
               faults_->due();
      };
      const bool breaks = !how_.faults.none();
      if (breaks && faults_->next_ns() == UINT64_MAX) return {};
      const std::uint64_t until = breaks ? faults_->next_ns() : world_.now_ns() + kCallNsMax;
      const SimWorld::End end = world_.run_until(moved, until);
      if (breaks && end == SimWorld::End::late) world_.run_for(until - world_.now_ns());
      while (faults_->due()) faults_->step();
      faults_->give_up_starts();
      std::string problem = cluster_.start_problem();
      if (!problem.empty()) return problem;
      const bool stuck = !breaks && end != SimWorld::End::done;
      if (stuck || world_.events() > kEventsMax) return stopped(end);
    }
    return {};
  }

  // Nothing breaks any more: everybody must come to his end.
  std::string heal() {
    const std::uint64_t until = std::max(world_.now_ns(), faults_->awake_ns()) + kProgressNsMax;
    const auto ended = [&] { return workload_.running() == 0 || world_.events() > kEventsMax; };
    const SimWorld::End end = world_.run_until(ended, until);
    const std::string problem = cluster_.start_problem();
    if (!problem.empty()) return problem;
    if (end == SimWorld::End::done && world_.events() <= kEventsMax) {
      // A server that sleeps would have no answer for a new client.
      if (world_.now_ns() < faults_->awake_ns()) world_.run_for(faults_->awake_ns() - world_.now_ns());
      // Calls of a client that died run on until its session has ended.
      if (faults_->lost_a_client()) world_.run_for(kDeadNsMax);
      return {};
    }
    return "after everything had healed: " + stopped(end);
  }

  std::string stopped(SimWorld::End end) const {
    const char* why = world_.events() > kEventsMax  ? "too many events"
                      : end == SimWorld::End::stuck ? "nobody goes on"
                                                    : "stuck";
    return why + std::string("; calls that have not returned:\n") + workload_.waiting() + cluster_.describe();
  }

  // From a client that has seen nothing; after faults also from those that lived through them.
  std::string look() {
    std::string problem;
    fresh_ = cluster_.add_client(&problem);
    if (fresh_ == nullptr) return problem;
    for (Mount& mount : cluster_.mounts()) {
      const bool looks = &mount == fresh_ || (!how_.faults.none() && cluster_.is_alive(mount));
      if (looks) problem = cluster_.run(mount, workload_.look(mount), "look at everything");
      if (!problem.empty()) return problem + workload_.waiting();
    }
    return workload_.check();
  }

  std::string clean() {
    const std::string problem = cluster_.run(*fresh_, workload_.clean(*fresh_), "remove everything");
    return problem.empty() ? workload_.check() : problem;
  }

  SimWorld& world_;
  Cluster& cluster_;
  Workload& workload_;
  const RunOptions& how_;
  const FaultPlan& plan_;
  std::unique_ptr<FaultRunner> faults_;
  Mount* fresh_ = nullptr;
};

}  // namespace

SeedResult run_seed(std::uint64_t seed, const RunOptions& how, std::FILE* trace) {
  SimWorld world(seed);
  world.set_trace(trace);
  SeedResult result;
  {
    const FaultPlan plan = make_fault_plan(seed, how.faults);
    ClusterOptions of_cluster;
    of_cluster.kernel.bug = how.bug;
    of_cluster.blocks = how.blocks;
    // In some runs most objects are small, in some none is; and so with writes that are deferred.
    if (seed % 4 == 1) of_cluster.small_object_max = 64 << 10;
    if (seed % 4 == 2) of_cluster.small_object_max = 0;
    if (seed % 6 < 2) of_cluster.deferred_write_max = 2 << 10;
    if (seed % 6 == 3) of_cluster.deferred_write_max = 0;
    of_cluster.kernel.maps = how.maps;
    // Some kernels keep what was stored for longer than a lease.
    if (!how.faults.none() && seed % 2 == 0) of_cluster.kernel.flush_ns_max = 30 * kSecond;
    // In some runs directories are read in portions.
    if (!how.faults.none() && seed % 3 == 0) of_cluster.kernel.list_entries_max = 2;
    Cluster cluster(world, of_cluster);
    WorkloadOptions options;
    options.processes = 1 + static_cast<std::uint32_t>(world.random().below(3));
    options.names = 2 + static_cast<std::uint32_t>(world.random().below(4));
    options.small = world.random().chance(50);
    options.calls = 36 / options.processes;
    options.only_calls = how.only_calls;
    options.maps = how.maps;
    // In some of these runs most writers are in each other's way.
    if (how.maps && seed % 2 == 1) options.shared_percent = 80;
    if (!how.faults.none()) options.think_ns_max = plan.think_ns_max;
    // Files move while they are open and in use.
    if (how.drain) options.think_ns_max = std::max<std::uint64_t>(options.think_ns_max, 200 * kMillisecond);
    Workload workload(world, options);
    // Not by chance: without checks a seed means the same as before there were any. The check does not outlive a
    // server.
    Run run(world, cluster, workload, how, plan);
    result.problem = run.run(seed % 4 == 0 && how.faults.none());
    result.calls = workload.calls_returned();
    result.undecided = workload.undecided();
    result.calls_planned = workload.calls_planned();
    result.faults_planned = static_cast<std::uint32_t>(plan.faults.size());
  }
  result.hash = world.hash();
  result.events = world.events();
  result.virtual_ns = world.now_ns();
  return result;
}

}  // namespace rideau::sim
