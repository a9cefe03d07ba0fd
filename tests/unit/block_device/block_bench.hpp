// SPDX-License-Identifier: Apache-2.0
// One block-device store and its index on simulated disks, which outlive it: started, stopped and killed as often as a
// test likes.
#pragma once

#include "framework/observe/log.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/runtime/await.hpp"
#include "framework/runtime/task_group.hpp"
#include "tests/sim/sim_block_device.hpp"
#include "tests/sim/sim_index.hpp"
#include "tests/sim/sim_runtime.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

namespace rideau::block_device {

// Calls that wait, for coroutines of a test.
struct StoreCalls {
  ObjectStore& store;

  Task<Status> write(ObjectId id, std::uint64_t offset, std::string bytes) {
    IoVec part{bytes.data(), bytes.size()};
    const Outcome done = co_await submit([&](Completion& c) { return store.write(id, offset, &part, 1, c); });
    co_return done.status;
  }
  Task<Status> read(ObjectId id, std::uint64_t offset, std::uint64_t size, std::string* out) {
    out->assign(size, '\xaa');
    IoVec part{out->data(), out->size()};
    const Outcome done = co_await submit([&](Completion& c) { return store.read(id, offset, &part, 1, c); });
    out->resize(done.ok() ? done.value : 0);
    co_return done.status;
  }
  Task<Status> truncate(ObjectId id, std::uint64_t size) {
    const Outcome done = co_await submit([&](Completion& c) { return store.truncate(id, size, c); });
    co_return done.status;
  }
  Task<Status> punch(ObjectId id, std::uint64_t offset, std::uint64_t size) {
    const Outcome done = co_await submit([&](Completion& c) { return store.punch(id, offset, size, c); });
    co_return done.status;
  }
  Task<Status> allocate(ObjectId id, std::uint64_t offset, std::uint64_t size) {
    const Outcome done = co_await submit([&](Completion& c) { return store.allocate(id, offset, size, c); });
    co_return done.status;
  }
  Task<Status> remove(ObjectId id) {
    const Outcome done = co_await submit([&](Completion& c) { return store.remove(id, c); });
    co_return done.status;
  }
  Task<Status> flush() {
    const Outcome done = co_await submit([&](Completion& c) { return store.flush(nullptr, 0, c); });
    co_return done.status;
  }
  Task<Status> stat(ObjectId id, ObjectStat* out) {
    const Outcome done = co_await submit([&](Completion& c) { return store.stat(id, out, c); });
    co_return done.status;
  }
};

// From the start of a node until its end; the end is a power cut unless stop() came before.
class BlockLife {
 public:
  BlockLife(sim::SimWorld& world, sim::SimIndexDisk& index_disk, sim::SimBlockDisk& disk)
      : node_(world, "block"),
        tasks_(std::make_unique<TaskGroup>(node_)),
        index_(node_, log, sim::kSimIndexDescriptor, {"index", true}),
        store_(node_, log, sim::kSimBlockStoreDescriptor, {"store", true}) {
    ConfigValue value;
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&index_disk));
    REQUIRE(index_.create(&value).ok());
    store_.wire("index", index_);
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&disk));
    REQUIRE(store_.create(&value).ok());
  }
  ~BlockLife() {
    node_.kill();
    store_.kill();
    index_.kill();
    tasks_.reset();
  }

  Status start() {
    Status status{};
    run(start_both(status));
    return status;
  }
  void stop() {
    run([](BlockLife& self) -> Task<> {
      const Status first = co_await self.store_.stop();
      CHECK(first.ok());
      const Status second = co_await self.index_.stop();
      CHECK(second.ok());
    }(*this));
  }
  // Until the task has ended.
  void run(Task<> task) {
    spawn(std::move(task));
    REQUIRE(node_.world().run_until([&] { return ended_; }, node_.world().now_ns() + 600 * kSecond) ==
            sim::SimWorld::End::done);
  }
  // All of them at once, begun in this order.
  void run_together(std::vector<Task<>> tasks) {
    std::size_t left = tasks.size();
    for (Task<>& task : tasks) {
      tasks_->spawn([](Task<> one, std::size_t& count) -> Task<> {
        co_await std::move(one);
        --count;
      }(std::move(task), left));
    }
    REQUIRE(node_.world().run_until([&] { return left == 0; }, node_.world().now_ns() + 600 * kSecond) ==
            sim::SimWorld::End::done);
  }
  // The task is run by whoever runs the world; ended() tells.
  void spawn(Task<> task) {
    ended_ = false;
    tasks_->spawn(finish(std::move(task), ended_));
  }
  bool ended() const noexcept { return ended_; }
  StoreCalls calls() { return {store_.object_store()}; }
  ObjectStore& store() { return store_.object_store(); }
  Runtime& runtime() noexcept { return node_; }

  MemoryLogger log;

 private:
  static Task<> finish(Task<> task, bool& ended) {
    co_await std::move(task);
    ended = true;
  }
  Task<> start_both(Status& status) {
    status = co_await index_.start();
    if (status.ok()) status = co_await store_.start();
  }

  sim::SimRuntime node_;
  std::unique_ptr<TaskGroup> tasks_;
  PluginInstance index_;
  PluginInstance store_;
  bool ended_ = false;
};

}  // namespace rideau::block_device
