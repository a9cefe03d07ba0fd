// SPDX-License-Identifier: Apache-2.0
// The simulated runtime: order, replay, the end of a node, and that a wait for nobody shows.
#include "framework/runtime/await.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <catch2/catch.hpp>

#include <memory>

namespace rideau::sim {
namespace {

Task<> sleeper(Runtime& runtime, std::uint64_t ns, std::vector<std::uint64_t>& out) {
  co_await sleep_for(runtime, ns);
  out.push_back(ns);
}

Task<> wanderer(Runtime& runtime, int rounds, std::uint64_t& sum) {
  for (int i = 0; i < rounds; ++i) {
    co_await sleep_for(runtime, random64(runtime) % kMillisecond);
    sum = sum * 31 + runtime.now_ns() % 1000;
    co_await yield_now(runtime);
    const Status done = co_await run_blocking(runtime, [&sum] {
      ++sum;
      return kOk;
    });
    if (!done.ok()) co_return;
  }
}

Task<> wait_for(Event& event, bool& done) {
  co_await event.wait();
  done = true;
}

std::pair<std::uint64_t, std::uint64_t> wander(std::uint64_t seed) {
  SimWorld world(seed);
  SimRuntime a(world, "a");
  SimRuntime b(world, "b", {7 * kSecond, 0, kMillisecond});
  std::uint64_t sum = 0;
  {
    TaskGroup tasks_a(a);
    TaskGroup tasks_b(b);
    for (int i = 0; i < 4; ++i) tasks_a.spawn(wanderer(a, 10, sum));
    for (int i = 0; i < 4; ++i) tasks_b.spawn(wanderer(b, 10, sum));
    const auto idle = [&] { return tasks_a.size() == 0 && tasks_b.size() == 0; };
    REQUIRE(world.run_until(idle, 10 * kSecond) == SimWorld::End::done);
  }
  return {world.hash(), sum};
}

}  // namespace

TEST_CASE("sleeps end in the order of their time, and the clock follows") {
  SimWorld world(1);
  SimRuntime node(world, "node", {5 * kSecond, -3, kMillisecond});
  REQUIRE(node.now_ns() == 5 * kSecond);
  std::vector<std::uint64_t> out;
  TaskGroup tasks(node);
  for (const std::uint64_t ns : {300u, 100u, 200u}) tasks.spawn(sleeper(node, ns, out));
  REQUIRE(world.run_until([&] { return tasks.size() == 0; }, kSecond) == SimWorld::End::done);
  REQUIRE(out == std::vector<std::uint64_t>{100, 200, 300});
  REQUIRE(node.now_ns() == 5 * kSecond + 300);
}

TEST_CASE("one seed gives one run, another seed another") {
  REQUIRE(wander(42) == wander(42));
  REQUIRE(wander(42).first != wander(43).first);
}

TEST_CASE("who waits for nobody is found, and too long a run ends") {
  SimWorld world(1);
  SimRuntime node(world, "node");
  Event event(node);
  bool done = false;
  TaskGroup tasks(node);
  tasks.spawn(wait_for(event, done));
  REQUIRE(world.run_until([&] { return done; }, kSecond) == SimWorld::End::stuck);
  std::vector<std::uint64_t> out;
  tasks.spawn(sleeper(node, 2 * kSecond, out));
  REQUIRE(world.run_until([&] { return done; }, kSecond) == SimWorld::End::late);
  event.set();
  REQUIRE(world.run_until([&] { return done; }, kSecond) == SimWorld::End::done);
  node.kill();  // the second one still sleeps, and its frame goes before the node
}

TEST_CASE("nothing of a killed node resumes") {
  SimWorld world(9);
  auto node = std::make_unique<SimRuntime>(world, "node");
  std::vector<std::uint64_t> out;
  auto tasks = std::make_unique<TaskGroup>(*node);
  tasks->spawn(sleeper(*node, 100, out));
  std::uint64_t sum = 0;
  tasks->spawn(wanderer(*node, 3, sum));
  node->kill();
  tasks.reset();
  node.reset();
  world.run_for(kSecond);
  REQUIRE(out.empty());
  REQUIRE(sum == 0);
}

TEST_CASE("cancel and forget take a sleeper out of the queue") {
  SimWorld world(3);
  SimRuntime node(world, "node");
  static int resumed;
  resumed = 0;
  Completion kept;
  Completion dropped;
  kept.resume = dropped.resume = [](Completion*) noexcept { ++resumed; };
  REQUIRE(node.sleep(kSecond, kept) == Submitted::pending);
  REQUIRE(node.sleep(kSecond, dropped) == Submitted::pending);
  node.cancel(kept);
  node.forget(dropped);
  world.run_for(kMillisecond);
  REQUIRE(resumed == 1);
  REQUIRE(kept.status.code == Code::cancelled);
  world.run_for(2 * kSecond);
  REQUIRE(resumed == 1);
}

TEST_CASE("a node that sleeps does nothing, and goes on with what came meanwhile in its order") {
  SimWorld world(1);
  SimRuntime node(world, "node");
  std::vector<std::uint64_t> out;
  TaskGroup tasks(node);
  for (const std::uint64_t ms : {1, 3, 2}) tasks.spawn(sleeper(node, ms * kMillisecond, out));
  node.pause(kSecond);
  world.run_for(kSecond - 1);
  REQUIRE(out.empty());
  world.run_for(1);
  REQUIRE(out == std::vector<std::uint64_t>{1 * kMillisecond, 2 * kMillisecond, 3 * kMillisecond});
}

TEST_CASE("a calendar that jumps moves no clock") {
  SimWorld world(1);
  SimRuntime node(world, "node");
  const std::int64_t before = node.wall_ns();
  node.set_wall(-static_cast<std::int64_t>(kSecond));
  REQUIRE(node.wall_ns() == before - static_cast<std::int64_t>(kSecond));
  REQUIRE(node.now_ns() == 0);
}

}  // namespace rideau::sim
