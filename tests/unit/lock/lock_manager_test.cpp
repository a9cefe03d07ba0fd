// SPDX-License-Identifier: Apache-2.0
// Goal: every transition of the server's lock queue: grants, waiting in order, revocation once for each conflict,
// conversion, and the end of a holder.
#include "framework/lock/lock_manager.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/task_group.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>

namespace rideau::lock {
namespace {

struct Bench final : LockManager::Events {
  RealRuntime runtime;
  LockManager locks{runtime, *this};
  TaskGroup tasks{runtime};
  std::string story;  // what happened, in order

  void revoke(HolderId holder, ResourceId, Mode wanted) override {
    story += "revoke " + std::to_string(holder) + (wanted == Mode::exclusive ? "x " : "s ");
  }
  Task<> take(HolderId holder, Mode mode) {
    const Status status = co_await locks.acquire(holder, 0, mode);
    story += (status.ok() ? "granted " : "ended ") + std::to_string(holder) + " ";
  }
  void want(HolderId holder, Mode mode) { tasks.spawn(take(holder, mode)); }
  Task<> settle() {
    for (int i = 0; i < 5; ++i) co_await yield_now(runtime);
  }
  std::string told() { return std::exchange(story, {}); }
};

void run(const std::function<Task<>(Bench&)>& body) {
  Bench bench;
  bench.runtime.run(body(bench));
}

TEST_CASE("shared holders share, an exclusive one waits for them") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::shared);
    bench.want(2, Mode::shared);
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 granted 2 ");
    bench.want(3, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x revoke 2x ");
    bench.locks.release(1, 0);
    co_await bench.settle();
    CHECK(bench.told().empty());
    bench.locks.release(2, 0);
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 ");
    CHECK(bench.locks.held(3, 0) == Mode::exclusive);
  });
}

TEST_CASE("nobody overtakes a waiter that conflicts with him") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::shared);
    bench.want(2, Mode::exclusive);
    bench.want(3, Mode::shared);  // would fit beside 1, but 2 came first
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x granted 1 ");
    bench.locks.release(1, 0);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 2s granted 2 ");
    bench.locks.release(2, 0);
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 ");
  });
}

TEST_CASE("a stronger conflict asks again, an equal one does not") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::exclusive);
    bench.want(2, Mode::shared);
    bench.want(3, Mode::shared);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1s granted 1 ");
    bench.locks.release(1, 0);
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 granted 3 ");
  });
}

TEST_CASE("a conversion goes to the head of the queue; of two, one gives way") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::shared);
    bench.want(2, Mode::shared);
    bench.want(9, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x revoke 2x granted 1 granted 2 ");
    bench.want(1, Mode::exclusive);
    bench.want(2, Mode::exclusive);
    co_await bench.settle();
    bench.locks.release(2, 0);  // 2 was asked, and waits like everybody from now on
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x granted 1 ");
    bench.locks.release(1, 0);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 2x granted 2 ");
    bench.locks.release(2, 0);
    co_await bench.settle();
    CHECK(bench.told() == "granted 9 ");
  });
}

TEST_CASE("the end of a session frees what it held and ends what it waited for") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::exclusive);
    bench.want(2, Mode::exclusive);
    bench.want(3, Mode::exclusive);
    co_await bench.settle();
    bench.told();
    bench.locks.drop(2);
    bench.locks.drop(1);
    co_await bench.settle();
    CHECK(bench.told() == "ended 2 granted 3 ");
    CHECK(bench.locks.waiting() == 0);
    bench.locks.drop(3);
    CHECK(bench.locks.held(3, 0) == Mode::none);
  });
}

TEST_CASE("what is held already is granted at once; releasing nothing does nothing") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::exclusive);
    bench.want(1, Mode::shared);
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 granted 1 ");
    bench.locks.release(7, 0);
    bench.locks.release(1, 5);
    CHECK(bench.locks.held(1, 0) == Mode::exclusive);
    const Status none = co_await bench.locks.acquire(1, 0, Mode::none);
    CHECK(none.code == Code::invalid);
  });
}

}  // namespace
}  // namespace rideau::lock
