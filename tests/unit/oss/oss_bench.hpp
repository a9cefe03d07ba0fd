// SPDX-License-Identifier: Apache-2.0
// One object target on simulated stores, which outlive it: started, stopped and killed as often as a test likes.
#pragma once

#include "framework/observe/log.hpp"
#include "framework/plugin_host/instance.hpp"
#include "plugins/oss/oss.hpp"
#include "tests/sim/sim_index.hpp"
#include "tests/sim/sim_objects.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

// REQUIRE throws, which a coroutine does not let pass: fails the test and ends the coroutine instead.
#define RIDEAU_HOLDS(expression)     \
  do {                               \
    const bool holds = (expression); \
    INFO(#expression);               \
    CHECK(holds);                    \
    if (!holds) co_return;           \
  } while (false)

namespace rideau::oss {

inline const Uuid kTestCluster = *parse_uuid("0f0e0d0c-0b0a-4908-8706-050403020100");

// From the start of a node until its end.
struct OssLife {
  OssLife(sim::SimWorld& world, sim::SimIndexDisk& index_disk, sim::SimObjectDisk& object_disk, OssOptions options)
      : node(world, "oss"),
        tasks(std::make_unique<TaskGroup>(node)),
        index(node, log, sim::kSimIndexDescriptor, {"index", true}),
        objects(node, log, sim::kSimObjectsDescriptor, {"objects", true}) {
    ConfigValue value;
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&index_disk));
    REQUIRE(index.create(&value).ok());
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&object_disk));
    REQUIRE(objects.create(&value).ok());
    run(start_stores());
    oss = std::make_unique<Oss>(node, log, objects.object_store(), index.index_store(), options);
  }
  ~OssLife() {
    node.kill();
    index.kill();
    objects.kill();
    tasks.reset();
  }
  void run(Task<> task) {
    bool done = false;
    tasks->spawn(finish(std::move(task), done));
    REQUIRE(node.world().run_until([&] { return done; }, node.world().now_ns() + 600 * kSecond) ==
            sim::SimWorld::End::done);
  }
  // As an operator would: stop in order.
  void stop() { run(stop_all()); }
  Status start() {
    Status status{};
    run(keep(oss->start(), status));
    return status;
  }
  Status format() {
    Status status{};
    run(keep(oss->format(), status));
    return status;
  }

  MemoryLogger log;
  sim::SimRuntime node;
  std::unique_ptr<TaskGroup> tasks;
  PluginInstance index;
  PluginInstance objects;
  std::unique_ptr<Oss> oss;

 private:
  static Task<> finish(Task<> task, bool& done) {
    co_await std::move(task);
    done = true;
  }
  static Task<> keep(Task<Status> task, Status& status) { status = co_await std::move(task); }
  Task<> start_stores() {
    const Status first = co_await index.start();
    RIDEAU_HOLDS(first.ok());
    const Status second = co_await objects.start();
    RIDEAU_HOLDS(second.ok());
  }
  Task<> stop_all() {
    const Status stopped = co_await oss->stop();
    RIDEAU_HOLDS(stopped.ok());
    const Status first = co_await objects.stop();
    RIDEAU_HOLDS(first.ok());
    const Status second = co_await index.stop();
    RIDEAU_HOLDS(second.ok());
  }
};

struct OssBench {
  explicit OssBench(std::uint64_t seed, sim::SimObjectOptions object_options = {})
      : world(seed),
        index_disk(std::make_unique<sim::SimIndexDisk>()),
        object_disk(std::make_unique<sim::SimObjectDisk>(object_options)) {
    options.cluster = kTestCluster;
    options.target = 7;
  }
  std::unique_ptr<OssLife> live() { return std::make_unique<OssLife>(world, *index_disk, *object_disk, options); }

  sim::SimWorld world;
  std::unique_ptr<sim::SimIndexDisk> index_disk;
  std::unique_ptr<sim::SimObjectDisk> object_disk;
  OssOptions options;
};

}  // namespace rideau::oss
