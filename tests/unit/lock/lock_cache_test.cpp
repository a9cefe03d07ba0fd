// SPDX-License-Identifier: Apache-2.0
// Goal: the client's side of a lock: kept between uses, given back when asked and idle, taken anew for a stronger mode,
// fair to those who waited, and usable again after a failure or the loss of the session.
#include "framework/lock/lock_cache.hpp"
#include "framework/runtime/real_runtime.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>

namespace rideau::lock {
namespace {

struct Bench final : LockCache::Owner {
  RealRuntime runtime;
  TaskGroup tasks{runtime};
  LockCache cache{runtime, tasks, *this};
  std::string story;
  bool fail_next = false;
  WaitQueue hold{runtime};
  bool slow_take = false;
  bool slow_drop = false;

  Task<Result<Mode>> take(Mode mode) override {
    story += mode == Mode::exclusive ? "take-x " : "take-s ";
    if (slow_take) co_await hold.wait();
    if (std::exchange(fail_next, false)) co_return Status{Code::closed, 0, "test"};
    co_return mode;
  }
  Task<> prepare_release() override {
    story += "drop ";
    if (slow_drop) co_await hold.wait();
  }
  Task<Status> give_back() override {
    story += "back ";
    co_return kOk;
  }
  void on_taken(Mode) override {}

  Task<> use_once(Mode mode, const char* name) {
    const Status status = co_await cache.use(mode);
    story += std::string(status.ok() ? name : "failed") + " ";
    if (!status.ok()) co_return;
    co_await yield_now(runtime);
    cache.end_use();
  }
  void want(Mode mode, const char* name) { tasks.spawn(use_once(mode, name)); }
  Task<> settle() {
    for (int i = 0; i < 20; ++i) co_await yield_now(runtime);
  }
  std::string told() { return std::exchange(story, {}); }
};

void run(const std::function<Task<>(Bench&)>& body) {
  Bench bench;
  bench.runtime.run(body(bench));
}

TEST_CASE("taken once, used often, given back when asked") {
  run([](Bench& bench) -> Task<> {
    bench.want(Mode::exclusive, "a");
    co_await bench.settle();
    bench.want(Mode::shared, "b");
    co_await bench.settle();
    CHECK(bench.told() == "take-x a b ");
    bench.cache.revoke();
    bench.cache.revoke();
    co_await bench.settle();
    CHECK(bench.told() == "drop back ");
    CHECK(bench.cache.mode() == Mode::none);
    bench.cache.revoke();  // of a lock that is not held: nothing
    co_await bench.settle();
    CHECK(bench.told().empty());
  });
}

TEST_CASE("a stronger mode gives back first and takes anew") {
  run([](Bench& bench) -> Task<> {
    bench.want(Mode::shared, "a");
    co_await bench.settle();
    bench.want(Mode::exclusive, "b");
    co_await bench.settle();
    CHECK(bench.told() == "take-s a drop back take-x b ");
  });
}

TEST_CASE("those who waited go first when the lock is wanted back the moment it came") {
  run([](Bench& bench) -> Task<> {
    bench.slow_take = true;
    bench.want(Mode::exclusive, "a");
    bench.want(Mode::exclusive, "b");
    co_await bench.settle();
    bench.cache.revoke();
    bench.slow_take = false;
    bench.hold.wake_all();
    co_await bench.settle();
    CHECK(bench.told() == "take-x a b drop back ");
  });
}

TEST_CASE("uses that come while it is given back wait until it was taken anew") {
  run([](Bench& bench) -> Task<> {
    bench.want(Mode::exclusive, "a");
    co_await bench.settle();
    bench.told();
    bench.slow_drop = true;
    bench.cache.revoke();
    CHECK(bench.cache.closing());
    bench.want(Mode::exclusive, "late");
    co_await bench.settle();
    CHECK(bench.told() == "drop ");
    bench.hold.wake_all();
    co_await bench.settle();
    CHECK(bench.told() == "back take-x late ");
    CHECK_FALSE(bench.cache.closing());
  });
}

TEST_CASE("a failed take fails those who waited for it, and the next tries again") {
  run([](Bench& bench) -> Task<> {
    bench.fail_next = true;
    bench.slow_take = true;
    bench.want(Mode::shared, "a");
    bench.want(Mode::shared, "b");
    co_await bench.settle();
    bench.slow_take = false;
    bench.hold.wake_all();
    co_await bench.settle();
    CHECK(bench.told() == "take-s failed failed ");
    bench.want(Mode::shared, "c");
    co_await bench.settle();
    CHECK(bench.told() == "take-s c ");
  });
}

TEST_CASE("a lost session voids what was under way") {
  run([](Bench& bench) -> Task<> {
    bench.want(Mode::exclusive, "a");
    co_await bench.settle();
    bench.told();
    bench.slow_drop = true;
    bench.cache.revoke();
    co_await bench.settle();
    bench.cache.lost();
    bench.slow_drop = false;
    bench.hold.wake_all();
    co_await bench.settle();
    CHECK(bench.told() == "drop ");  // nothing is given back: it is not ours any more
    bench.want(Mode::shared, "b");
    co_await bench.settle();
    CHECK(bench.told() == "take-s b ");
    co_await bench.cache.release_now();
    CHECK(bench.told() == "drop back ");
  });
}

}  // namespace
}  // namespace rideau::lock
