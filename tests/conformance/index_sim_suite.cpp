// SPDX-License-Identifier: Apache-2.0
// Goal: the simulated index keeps the same contract as the real one, in real and in simulated time, with every kill
// followed by a power cut; one seed gives one run; and each of its faults does what it says.
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/task_group.hpp"
#include "sdk/testkit/index_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/sim/sim_index.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

namespace rideau {
namespace {

using sim::SimIndexDisk;
using sim::SimIndexOptions;
using sim::SimRuntime;
using sim::SimWorld;

class SimFactory final : public IndexFactory {
 public:
  SimFactory(Host& host, SimIndexDisk& disk, std::uint64_t seed) : host_(host), disk_(disk), seed_(seed) {}
  // What was not stopped in order has lost its power.
  Result<IndexStore*> make() override {
    if (!disk_.in_use()) disk_.power_cut(seed_++);
    return sim::make_sim_index(host_, disk_);
  }
  Status clear() override {
    disk_.clear();
    return kOk;
  }
  std::uint64_t capabilities() const noexcept override { return sim::kSimIndexDescriptor.capabilities; }

 private:
  Host& host_;
  SimIndexDisk& disk_;
  std::uint64_t seed_;
};

SimIndexOptions small() {
  SimIndexOptions options;
  options.bytes_total = 4 << 20;
  return options;
}

struct Run {
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  std::map<std::string, std::string> entries;
};

Run run_simulated(std::uint64_t seed) {
  SimIndexDisk disk(small());
  SimWorld world(seed);
  SimRuntime runtime(world, "index");
  TestHost host(runtime);
  SimFactory factory(host, disk, seed);
  Report report;
  bool ended = false;
  auto body = [](Runtime& node, IndexFactory& instances, std::uint64_t first, Report& results, bool& flag) -> Task<> {
    co_await run_index_suite(node, instances, first, results);
    flag = true;
  };
  TaskGroup group(runtime);
  group.spawn(body(runtime, factory, seed, report, ended));
  CHECK(world.run_until([&] { return ended; }, 3600 * kSecond) == SimWorld::End::done);
  if (report.exit_status() != 0) report.print(stdout);
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
  return {world.hash(), world.events(), disk.entries()};
}

// One instance on a disk, in simulated time.
struct Bench {
  SimIndexDisk disk{small()};
  SimWorld world{1};
  SimRuntime runtime{world, "index"};
  TestHost host{runtime};
  IndexStore* store = nullptr;

  void start() {
    store = sim::make_sim_index(host, disk);
    Completion done;
    REQUIRE(store->start(done) == Submitted::finished);
    REQUIRE(done.status.ok());
  }
  void destroy() { store->destroy(); }
  Status commit(index_suite::Call& call, Durability durability) {
    call.submit(*store, durability);
    REQUIRE(world.run_until([&] { return call.ended(); }, 100 * kSecond) == SimWorld::End::done);
    return call.status();
  }
  Status put(const std::string& key, const std::string& value, Durability durability = Durability::durable) {
    index_suite::Call call;
    call.batch().put(key, value);
    return commit(call, durability);
  }
};

}  // namespace

TEST_CASE("the index suite passes over the simulated index in real time") {
  SimIndexDisk disk(small());
  RealRuntime runtime;
  TestHost host(runtime);
  SimFactory factory(host, disk, 1);
  Report report;
  runtime.run(run_index_suite(runtime, factory, 1, report));
  report.print(stdout);
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
}

TEST_CASE("the index suite passes over the simulated index in simulated time, each seed twice the same") {
  std::uint64_t last_hash = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Run first = run_simulated(seed);
    const Run second = run_simulated(seed);
    CHECK(first.events > 100);
    CHECK(first.hash == second.hash);
    CHECK(first.events == second.events);
    CHECK(first.entries == second.entries);
    CHECK(first.hash != last_hash);
    last_hash = first.hash;
  }
}

TEST_CASE("a power cut loses a suffix of what was not durable, and nothing else") {
  std::size_t different_ends = 0;
  std::size_t last = SIZE_MAX;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Bench bench;
    bench.start();
    for (std::uint64_t i = 0; i < 20; ++i) {
      REQUIRE(bench.put(index_suite::numbered("k", i), "1", i < 5 ? Durability::durable : Durability::eventual).ok());
    }
    REQUIRE(bench.put("k00000000", "2", Durability::eventual).ok());
    bench.destroy();
    CHECK(bench.disk.entries().size() == 20);  // the end of a process loses nothing that was applied
    const std::uint64_t lost = bench.disk.power_cut(seed);
    const auto entries = bench.disk.entries();
    const std::size_t kept = 21 - lost;
    REQUIRE(kept >= 5);
    CHECK(entries.size() == std::min<std::size_t>(kept, 20));
    CHECK(bench.disk.entry_count() == entries.size());
    for (std::uint64_t i = 0; i < entries.size(); ++i) CHECK(entries.count(index_suite::numbered("k", i)) == 1);
    CHECK(entries.at("k00000000") == (lost == 0 ? "2" : "1"));
    if (kept != last) ++different_ends;
    last = kept;
  }
  CHECK(different_ends > 5);
}

TEST_CASE("faults of the simulated index: full, slow, failing, a flipped bit") {
  Bench bench;
  bench.start();
  REQUIRE(bench.put("a", "1").ok());
  SECTION("full") {
    bench.disk.set_full(true);
    CHECK(bench.put("b", "1").code == Code::no_space);
    index_suite::Call erase;
    erase.batch().frees_space().erase("a");
    CHECK(bench.commit(erase, Durability::durable).ok());
    bench.disk.set_full(false);
    CHECK(bench.put("b", "1").ok());
  }
  SECTION("slow") {
    bench.disk.set_slowness(1000);
    const std::uint64_t before = bench.world.now_ns();
    CHECK(bench.put("b", "1").ok());
    CHECK(bench.world.now_ns() - before >= 50 * kMillisecond);
  }
  SECTION("failing, until it is started again") {
    bench.disk.fail_next_commit();
    CHECK(bench.put("b", "1").code == Code::io_error);
    CHECK(bench.put("c", "1").code == Code::io_error);
    bench.destroy();
    bench.start();
    CHECK(bench.put("d", "1").ok());
    CHECK(bench.disk.entries().count("b") == 0);
  }
  SECTION("a flipped bit") {
    REQUIRE(bench.disk.flip_bit(7));
    CHECK(bench.disk.entries().at("a") != "1");
    CHECK(bench.disk.entries().at("a").size() == 1);
  }
  bench.destroy();
}

}  // namespace rideau
