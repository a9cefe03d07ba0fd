// SPDX-License-Identifier: Apache-2.0
// A data plane over targets in memory and a simulated clock, for the tests of the data path.
#pragma once

#include "plugins/client/file_data.hpp"
#include "tests/sim/sim_runtime.hpp"
#include "tests/unit/client/data_fake_target.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <vector>

namespace rideau::client {

// REQUIRE throws, which a coroutine does not let pass: fails the test and ends the coroutine instead. Large operands
// are compared here and not printed.
#define RIDEAU_HOLDS(expression)     \
  do {                               \
    const bool holds = (expression); \
    INFO(#expression);               \
    CHECK(holds);                    \
    if (!holds) co_return;           \
  } while (false)

struct DataBench {
  explicit DataBench(std::uint64_t seed, DataOptions options = {}, std::uint32_t target_count = 3)
      : unstable_bytes_max(options.unstable_bytes_max),
        world(seed),
        node(world, "client"),
        tasks(std::make_unique<TaskGroup>(node)) {
    plane = std::make_unique<DataPlane>(node, *tasks, options);
    for (std::uint32_t i = 0; i < target_count; ++i) {
      targets.push_back(std::make_unique<FakeTarget>(node, seed * 31 + i));
      plane->add_target(i + 1, *targets.back());
    }
  }
  ~DataBench() {
    node.kill();  // what is pending is never resumed
    tasks.reset();
    plane.reset();
  }

  fs::Layout layout(std::uint32_t stripe_count, std::uint32_t stripe_size = 64 * 1024) const {
    fs::Layout made;
    made.stripe_size = stripe_size;
    for (std::uint32_t i = 0; i < stripe_count; ++i) made.targets.push_back(i % targets.size() + 1);
    return made;
  }
  // Runs one task to its end; a task that waits for nobody fails the test.
  void run(Task<> task) {
    bool done = false;
    tasks->spawn(finish(std::move(task), done));
    REQUIRE(world.run_until([&] { return done; }, world.now_ns() + 600 * kSecond) == sim::SimWorld::End::done);
    for (const auto& target : targets) REQUIRE(target->complaint == "");
  }
  void spawn(Task<> task, int& running) {
    ++running;
    tasks->spawn(count(std::move(task), running));
  }
  void run_all(const int& running) {
    REQUIRE(world.run_until([&] { return running == 0; }, world.now_ns() + 600 * kSecond) == sim::SimWorld::End::done);
    for (const auto& target : targets) REQUIRE(target->complaint == "");
  }

  const std::uint64_t unstable_bytes_max;
  sim::SimWorld world;
  sim::SimRuntime node;
  std::unique_ptr<TaskGroup> tasks;
  std::vector<std::unique_ptr<FakeTarget>> targets;
  std::unique_ptr<DataPlane> plane;

 private:
  static Task<> finish(Task<> task, bool& done) {
    co_await std::move(task);
    done = true;
  }
  static Task<> count(Task<> task, int& running) {
    co_await std::move(task);
    --running;
  }
};

inline Task<Result<std::uint64_t>> write_bytes(FileData& file, std::uint64_t offset, std::vector<std::uint8_t> bytes) {
  const IoVec part{bytes.data(), bytes.size()};
  co_return co_await file.write(offset, &part, 1);
}

// The bytes lie in buffers of the cache, one block each.
inline Task<Result<std::uint64_t>> write_lent(DataPlane& plane, FileData& file, std::uint64_t offset,
                                              const std::vector<std::uint8_t>& bytes, Buffers* lent) {
  std::vector<IoVec> parts;
  for (std::uint64_t at = 0; at < bytes.size(); at += kBlockBytes) {
    const std::uint64_t size = std::min<std::uint64_t>(kBlockBytes, bytes.size() - at);
    lent->push_back(plane.lend_buffer());
    std::copy_n(bytes.begin() + static_cast<long>(at), size, lent->back()->at(0));
    parts.push_back({lent->back()->at(0), size});
  }
  co_return co_await file.write(offset, parts.data(), static_cast<std::uint32_t>(parts.size()), lent);
}

// Short at the end of the file; empty, with the status in *failure, when it failed.
inline Task<std::vector<std::uint8_t>> read_bytes(FileData& file, std::uint64_t offset, std::uint64_t size,
                                                  std::uint64_t file_size, Status* failure = nullptr) {
  std::vector<std::uint8_t> bytes(size, 0xee);
  const IoVec parts[2] = {{bytes.data(), size / 3}, {bytes.data() + size / 3, size - size / 3}};
  const Result<std::uint64_t> done = co_await file.read(offset, parts, 2, file_size);
  if (failure != nullptr) *failure = done.status();
  bytes.resize(done.ok() ? *done : 0);
  co_return bytes;
}

}  // namespace rideau::client
