// SPDX-License-Identifier: Apache-2.0
// Goal: the simulated object store keeps the same contract as the real ones, in real and in simulated time, with every
// kill followed by a power cut; one seed gives one run; and each of its faults does what it says.
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/task_group.hpp"
#include "sdk/testkit/object_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/sim/sim_objects.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

namespace rideau {
namespace {

using sim::SimObjectDisk;
using sim::SimObjectOptions;
using sim::SimRuntime;
using sim::SimWorld;

class SimFactory final : public ObjectFactory {
 public:
  SimFactory(Host& host, SimObjectDisk& disk, std::uint64_t seed) : host_(host), disk_(disk), seed_(seed) {}
  // What was not stopped in order has lost its power.
  Result<ObjectStore*> make() override {
    if (!disk_.in_use() && !disk_.was_stopped()) lost_ += disk_.power_cut(seed_++);
    return sim::make_sim_objects(host_, disk_);
  }
  Status clear() override {
    disk_.clear();
    return kOk;
  }
  std::uint64_t capabilities() const noexcept override { return sim::kSimObjectsDescriptor.capabilities; }
  std::uint64_t lost() const noexcept { return lost_; }

 private:
  Host& host_;
  SimObjectDisk& disk_;
  std::uint64_t seed_;
  std::uint64_t lost_ = 0;
};

SimObjectOptions small() {
  SimObjectOptions options;
  options.bytes_total = 24 << 20;
  return options;
}

struct Run {
  std::uint64_t hash = 0;
  std::uint64_t lost = 0;
  std::map<ObjectId, std::uint64_t> sizes;
  std::vector<std::string> failed;
  std::size_t unsupported = 0;
};

Run run_simulated(std::uint64_t seed, SimObjectOptions options) {
  SimObjectDisk disk(options);
  SimWorld world(seed);
  SimRuntime runtime(world, "objects");
  TestHost host(runtime);
  SimFactory factory(host, disk, seed);
  Report report;
  bool ended = false;
  auto body = [](Runtime& node, ObjectFactory& instances, std::uint64_t first, Report& results, bool& flag) -> Task<> {
    co_await run_object_suite(node, instances, first, results);
    flag = true;
  };
  TaskGroup group(runtime);
  group.spawn(body(runtime, factory, seed, report, ended));
  CHECK(world.run_until([&] { return ended; }, 36'000 * kSecond) == SimWorld::End::done);
  Run run;
  run.hash = world.hash();
  run.lost = factory.lost();
  run.sizes = disk.sizes();
  run.unsupported = report.count(Verdict::unsupported);
  for (const Rule& rule : report.rules()) {
    if (rule.verdict == Verdict::failed) run.failed.push_back(rule.name + ":\n" + rule.detail);
  }
  return run;
}

// One instance on a disk, in simulated time.
struct Bench {
  SimObjectDisk disk{small()};
  SimWorld world{1};
  SimRuntime runtime{world, "objects"};
  TestHost host{runtime};
  ObjectStore* store = nullptr;

  void start() {
    store = sim::make_sim_objects(host, disk);
    Completion done;
    REQUIRE(store->start(done) == Submitted::finished);
    REQUIRE(done.status.ok());
  }
  void destroy() { store->destroy(); }
  template <class Send>
  Status call(Send send) {
    Outcome outcome;
    bool ended = false;
    auto body = [](ObjectStore& target, Send* action, Outcome& result, bool& flag) -> Task<> {
      result = co_await submit([&target, action](Completion& done) { return (*action)(target, done); });
      flag = true;
    };
    TaskGroup group(runtime);
    group.spawn(body(*store, &send, outcome, ended));
    REQUIRE(world.run_until([&] { return ended; }, world.now_ns() + 1000 * kSecond) == SimWorld::End::done);
    return outcome.status;
  }
  Status write(ObjectId id, std::uint64_t offset, std::string bytes) {
    IoVec part{bytes.data(), bytes.size()};
    return call([&](ObjectStore& to, Completion& done) { return to.write(id, offset, &part, 1, done); });
  }
  Status read(ObjectId id, std::uint64_t offset, std::size_t size) {
    std::string bytes(size, '\0');
    IoVec part{bytes.data(), bytes.size()};
    return call([&](ObjectStore& to, Completion& done) { return to.read(id, offset, &part, 1, done); });
  }
  Status flush() {
    return call([](ObjectStore& to, Completion& done) { return to.flush(nullptr, 0, done); });
  }
};

}  // namespace

TEST_CASE("the object suite passes over the simulated store in real time") {
  SimObjectDisk disk(small());
  RealRuntime runtime;
  TestHost host(runtime);
  SimFactory factory(host, disk, 1);
  Report report;
  runtime.run(run_object_suite(runtime, factory, 1, report));
  report.print(stdout);
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
}

TEST_CASE("the object suite passes over the simulated store in simulated time, each seed twice the same") {
  std::uint64_t last_hash = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const Run first = run_simulated(seed, small());
    const Run second = run_simulated(seed, small());
    for (const std::string& failed : first.failed) FAIL_CHECK("seed " << seed << ": " << failed);
    CHECK(first.unsupported == 0);
    CHECK(first.lost > 20);  // power cuts that lose nothing would prove nothing
    CHECK(first.hash == second.hash);
    CHECK(first.sizes == second.sizes);
    CHECK(first.hash != last_hash);
    last_hash = first.hash;
  }
}

TEST_CASE("the object suite finds a store that forgets its flushes") {
  SimObjectOptions options = small();
  options.forgets_flushes = true;
  const Run run = run_simulated(1, options);
  std::string all;
  for (const std::string& failed : run.failed) all += failed;
  CHECK(all.find("object.flush.all-survives-a-power-cut") != std::string::npos);
  CHECK(all.find("object.flush.named-survive-a-power-cut") != std::string::npos);
}

TEST_CASE("faults of the simulated store: power cut, full, slow, failing, a flipped bit") {
  Bench bench;
  bench.start();
  const ObjectId id{1, 2};
  const ObjectId other{1, 3};
  const std::string bytes(10'000, 'o');
  REQUIRE(bench.write(id, 0, bytes).ok());
  REQUIRE(bench.flush().ok());
  CHECK(bench.disk.dirty_count() == 0);
  SECTION("a power cut tears what was not flushed, in units, and nothing else") {
    bool old_seen = false;
    bool new_seen = false;
    bool torn_seen = false;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      REQUIRE(bench.write(id, 0, bytes).ok());
      REQUIRE(bench.flush().ok());
      REQUIRE(bench.write(id, 1024, std::string(2048, 'n')).ok());
      bench.destroy();
      std::string found;
      REQUIRE(bench.disk.read(id, 1024, 2048, &found));
      CHECK(found == std::string(2048, 'n'));  // the end of a process loses nothing
      bench.disk.power_cut(seed);
      REQUIRE(bench.disk.read(id, 0, 20'000, &found));
      CHECK(found.size() == bytes.size());
      for (std::size_t at = 1024; at < 3072; at += 512) {
        const std::string unit = found.substr(at, 512);
        CHECK((unit == std::string(512, 'o') || unit == std::string(512, 'n')));
      }
      const auto count = std::count(found.begin(), found.end(), 'n');
      old_seen = old_seen || count == 0;
      new_seen = new_seen || count == 2048;
      torn_seen = torn_seen || (count > 0 && count < 2048);
      bench.start();
    }
    CHECK(old_seen);
    CHECK(new_seen);
    CHECK(torn_seen);
  }
  SECTION("full") {
    bench.disk.set_full(true);
    CHECK(bench.write(other, 0, "x").code == Code::no_space);
    CHECK(bench.write(id, 0, "in place").ok());
    bench.disk.set_full(false);
    CHECK(bench.write(other, 0, "x").ok());
  }
  SECTION("slow") {
    bench.disk.set_slowness(1000);
    const std::uint64_t before = bench.world.now_ns();
    CHECK(bench.write(other, 0, "x").ok());
    CHECK(bench.world.now_ns() - before >= 5 * kMillisecond);
  }
  SECTION("failing calls, and a flush that fails until the store is started again") {
    bench.disk.fail_next_calls(2);
    CHECK(bench.write(other, 0, "x").code == Code::io_error);
    CHECK(bench.read(id, 0, 10).code == Code::io_error);
    CHECK(bench.read(id, 0, 10).ok());
    bench.disk.fail_next_flush();
    CHECK(bench.flush().code == Code::io_error);
    CHECK(bench.flush().code == Code::io_error);
    bench.destroy();
    bench.start();
    CHECK(bench.flush().ok());
  }
  SECTION("a flipped bit is found by its checksum, and gone with the bytes that are written over it") {
    REQUIRE(bench.disk.flip_bit(7));
    std::string found;
    REQUIRE(bench.disk.read(id, 0, 10'000, &found));
    CHECK(found != bytes);
    CHECK(bench.read(id, 0, 10'000).code == Code::corrupt);
    CHECK(bench.write(id, 0, bytes + std::string(1024, 'x')).ok());
    CHECK(bench.read(id, 0, 10'000).ok());
  }
  bench.destroy();
}

}  // namespace rideau
