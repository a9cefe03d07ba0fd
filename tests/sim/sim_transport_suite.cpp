// SPDX-License-Identifier: Apache-2.0
// Goal: the simulated transport keeps the contract that real ones are held to, for many seeds, and one seed gives one
// run.
#include "framework/observe/log.hpp"
#include "framework/plugin_host/host.hpp"
#include "framework/runtime/task_group.hpp"
#include "sdk/testkit/transport_suite.hpp"
#include "tests/sim/sim_network.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <vector>

namespace rideau::sim {
namespace {

class SimFactory final : public TransportFactory {
 public:
  SimFactory(SimNetwork& network, SimRuntime& runtime) : runtime_(runtime), place_{&network, &runtime} {}

  Result<Transport*> make() override { return make_on(add_host()); }
  Result<GatedTransport> make_gated() override {
    gates_.push_back(std::make_unique<HostGate>(add_host()));
    const Result<Transport*> made = make_on(*gates_.back());
    if (!made.ok()) return made.status();
    return GatedTransport{*made, gates_.back().get()};
  }
  std::uint64_t capabilities() const noexcept override { return kSimTransportDescriptor.capabilities; }
  std::string listen_address() const override { return "suite:0"; }

 private:
  Host& add_host() {
    hosts_.push_back(std::make_unique<NodeHost>(runtime_, log_, "suite"));
    return *hosts_.back();
  }
  Result<Transport*> make_on(Host& host) {
    ConfigValue value;
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&place_));
    Instance* made = nullptr;
    const Status status = kSimTransportDescriptor.create(host, &value, &made);
    if (!status.ok()) return status;
    return static_cast<Transport*>(made);
  }

  NullLogger log_;
  SimRuntime& runtime_;
  SimPlace place_;
  std::vector<std::unique_ptr<HostGate>> gates_;  // outlive the hosts, which drop what still waits
  std::vector<std::unique_ptr<NodeHost>> hosts_;
};

Task<> run_suite(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report, bool& ended) {
  co_await run_transport_suite(runtime, factory, seed, report);
  co_await run_transport_faults(runtime, factory, seed, report);
  ended = true;
}

std::uint64_t run(std::uint64_t seed) {
  SimWorld world(seed);
  SimNetwork network(world);
  SimRuntime runtime(world, "suite");
  SimFactory factory(network, runtime);
  TaskGroup tasks(runtime);
  Report report;
  bool ended = false;
  tasks.spawn(run_suite(runtime, factory, seed, report, ended));
  const SimWorld::End end = world.run_until([&] { return ended; }, 3600 * kSecond);
  if (end != SimWorld::End::done || report.exit_status() != 0) report.print(stdout);
  CHECK(end == SimWorld::End::done);
  CHECK(report.exit_status() == 0);
  CHECK(network.regions() == 0);
  CHECK(network.loans() == 0);
  runtime.kill();
  return world.hash();
}

}  // namespace

TEST_CASE("the transport suite passes over the simulated network, each seed twice the same") {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    const std::uint64_t first = run(seed);
    const std::uint64_t second = run(seed);
    CHECK(first == second);
  }
}

}  // namespace rideau::sim
