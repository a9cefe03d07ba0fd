// SPDX-License-Identifier: Apache-2.0
// Goal: every transition of the server's locks: grants by number, waiting in order, claims of operations, revocation
// once for each conflict, conversion, giving back by number, the end of a holder or a resource; and what a lock costs.
#include "framework/lock/lock_manager.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/task_group.hpp"

#include <catch2/catch.hpp>

#include <functional>
#include <string>
#include <utility>

#include <malloc.h>

namespace rideau::lock {
namespace {

constexpr ResourceId kOne = 7;
constexpr GrantNumber kAny = ~0ull;

struct Bench final : LockManager::Events {
  RealRuntime runtime;
  LockManager locks{runtime, *this};
  TaskGroup tasks{runtime};
  std::string story;  // what happened, in order
  bool tells = true;

  void revoke(HolderId holder, ResourceId resource, GrantNumber number, Mode wanted) override {
    CHECK(locks.held(holder, resource).number == number);
    story += "revoke " + std::to_string(holder) + (wanted == Mode::exclusive ? "x " : "s ");
  }
  Task<> take(HolderId holder, Mode mode) {
    const Status status = co_await locks.acquire(holder, kOne, mode);
    story += (status.ok() ? "granted " : "ended ") + std::to_string(holder) + " ";
    if (tells) locks.told(holder, kOne);
  }
  Task<> claim(HolderId holder, Mode mode) {
    const Status status = co_await locks.claim(holder, kOne, mode);
    story += (status.ok() ? "claimed " : "ended ") + std::to_string(holder) + " ";
  }
  void want(HolderId holder, Mode mode) { tasks.spawn(take(holder, mode)); }
  void wants_claim(HolderId holder, Mode mode) { tasks.spawn(claim(holder, mode)); }
  Mode tried(HolderId holder, Mode mode) { return locks.try_grant(holder, kOne, mode).mode; }
  void release(HolderId holder, GrantNumber number = kAny) { locks.release(holder, kOne, number); }
  Mode held(HolderId holder) { return locks.held(holder, kOne).mode; }
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
    CHECK(bench.told() == "revoke 2x revoke 1x ");
    CHECK(bench.locks.first_waiting(kOne) == 3);
    bench.release(1);
    co_await bench.settle();
    CHECK(bench.told().empty());
    bench.release(2);
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 ");
    CHECK(bench.held(3) == Mode::exclusive);
    CHECK(bench.locks.first_waiting(kOne) == 0);
  });
}

TEST_CASE("nobody overtakes a waiter that conflicts with him") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::shared);
    bench.want(2, Mode::exclusive);
    bench.want(3, Mode::shared);  // would fit beside 1, but 2 came first
    CHECK(bench.tried(4, Mode::shared) == Mode::none);
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 revoke 1x ");
    CHECK(bench.tried(1, Mode::shared) == Mode::shared);  // what is held is told of
    bench.release(1);
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 revoke 2s ");
    bench.release(2);
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 ");
    CHECK(bench.tried(4, Mode::shared) == Mode::shared);
  });
}

TEST_CASE("a stronger conflict asks again, an equal one does not") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::exclusive);
    co_await bench.settle();
    bench.told();
    bench.want(2, Mode::shared);
    bench.want(3, Mode::shared);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1s ");
    bench.wants_claim(4, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x ");
    bench.wants_claim(5, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told().empty());
  });
}

TEST_CASE("a lock is not asked back before its holder was told of it") {
  run([](Bench& bench) -> Task<> {
    bench.tells = false;
    bench.want(1, Mode::exclusive);
    bench.want(2, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 ");
    bench.locks.told(1, kOne);
    CHECK(bench.told() == "revoke 1x ");
    bench.locks.told(1, kOne);
    CHECK(bench.told().empty());
  });
}

TEST_CASE("a conversion waits for the others; of two, both are asked and one gives way") {
  run([](Bench& bench) -> Task<> {
    CHECK(bench.tried(1, Mode::shared) == Mode::shared);
    CHECK(bench.tried(1, Mode::exclusive) == Mode::exclusive);  // alone: at once
    bench.release(1);
    CHECK(bench.tried(1, Mode::shared) == Mode::shared);
    CHECK(bench.tried(2, Mode::shared) == Mode::shared);
    CHECK(bench.tried(1, Mode::exclusive) == Mode::shared);  // 2 is in the way, and not asked
    CHECK(bench.told().empty());
    bench.want(1, Mode::exclusive);
    bench.want(2, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 2x ");
    bench.release(2);
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 revoke 1x ");
    bench.release(1);
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 ");
  });
}

TEST_CASE("who was asked back is not given more meanwhile") {
  run([](Bench& bench) -> Task<> {
    const Grant first = bench.locks.try_grant(1, kOne, Mode::shared);
    bench.wants_claim(2, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x ");
    const Grant same = bench.locks.try_grant(1, kOne, Mode::exclusive);
    CHECK(same.mode == Mode::shared);
    CHECK(same.number == first.number);
  });
}

TEST_CASE("a claim waits for other holders alone, and keeps new ones away until it ends") {
  run([](Bench& bench) -> Task<> {
    CHECK(bench.tried(1, Mode::shared) == Mode::shared);
    CHECK(bench.tried(2, Mode::shared) == Mode::shared);
    CHECK(bench.locks.is_free_for(3, kOne, Mode::shared));
    CHECK_FALSE(bench.locks.is_free_for(1, kOne, Mode::exclusive));
    bench.wants_claim(1, Mode::exclusive);  // its own session's lock stays
    bench.wants_claim(2, Mode::exclusive);  // claims do not wait for each other
    co_await bench.settle();
    CHECK(bench.told() == "revoke 2x revoke 1x ");
    bench.release(2);
    co_await bench.settle();
    CHECK(bench.told() == "claimed 1 ");
    CHECK(bench.held(1) == Mode::shared);
    bench.release(1);
    co_await bench.settle();
    CHECK(bench.told() == "claimed 2 ");
    bench.want(3, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told().empty());
    CHECK(bench.tried(1, Mode::shared) == Mode::none);
    bench.locks.end_claim(1, kOne, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told().empty());
    bench.locks.end_claim(2, kOne, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 ");
  });
}

TEST_CASE("a claim of who only looks leaves other readers alone") {
  run([](Bench& bench) -> Task<> {
    CHECK(bench.tried(1, Mode::exclusive) == Mode::exclusive);
    bench.wants_claim(2, Mode::shared);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1s ");
    bench.release(1);
    co_await bench.settle();
    CHECK(bench.told() == "claimed 2 ");
    CHECK(bench.tried(3, Mode::shared) == Mode::shared);
    CHECK(bench.tried(4, Mode::exclusive) == Mode::none);
    bench.locks.end_claim(2, kOne, Mode::shared);
  });
}

TEST_CASE("a watch tells whether anybody was granted the resource exclusively meanwhile") {
  run([](Bench& bench) -> Task<> {
    bench.locks.watch(kOne);
    CHECK(bench.tried(1, Mode::shared) == Mode::shared);
    CHECK_FALSE(bench.locks.end_watch(kOne));
    bench.locks.watch(kOne);
    bench.release(1);
    CHECK(bench.tried(2, Mode::exclusive) == Mode::exclusive);
    bench.release(2);
    CHECK(bench.locks.end_watch(kOne));
    bench.locks.watch(kOne);
    bench.want(3, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.locks.end_watch(kOne));
    bench.release(3);
    bench.locks.note_watched(kOne);  // nobody watches
    bench.locks.watch(kOne);
    bench.locks.note_watched(kOne);
    CHECK(bench.locks.end_watch(kOne));
  });
}

TEST_CASE("giving back names the grant: a later one stays") {
  run([](Bench& bench) -> Task<> {
    const Grant first = bench.locks.try_grant(1, kOne, Mode::shared);
    const Grant again = bench.locks.try_grant(1, kOne, Mode::shared);
    CHECK(again.number == first.number);
    const Grant stronger = bench.locks.try_grant(1, kOne, Mode::exclusive);
    CHECK(stronger.number > first.number);
    bench.release(1, first.number);
    CHECK(bench.held(1) == Mode::exclusive);
    bench.release(7);
    bench.release(1, stronger.number);
    CHECK(bench.held(1) == Mode::none);
    const Grant next = bench.locks.try_grant(1, kOne, Mode::shared);
    CHECK(next.number > stronger.number);
    co_return;
  });
}

TEST_CASE("the end of a session frees what it held and ends what it waited for") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::exclusive);
    bench.want(2, Mode::exclusive);
    bench.wants_claim(2, Mode::shared);
    bench.want(3, Mode::exclusive);
    co_await bench.settle();
    bench.told();
    CHECK(bench.locks.holds(1));
    CHECK_FALSE(bench.locks.holds(2));
    bench.locks.drop_waiting(1);
    CHECK(bench.held(1) == Mode::exclusive);
    bench.locks.drop(2);
    bench.locks.drop(1);
    co_await bench.settle();
    CHECK(bench.told() == "ended 2 ended 2 granted 3 ");
    bench.locks.drop(3);
    CHECK(bench.held(3) == Mode::none);
    CHECK(bench.locks.count() == 0);
  });
}

TEST_CASE("a resource that is gone takes its locks with it, and lets those go on who waited") {
  run([](Bench& bench) -> Task<> {
    CHECK(bench.tried(1, Mode::exclusive) == Mode::exclusive);
    bench.wants_claim(2, Mode::exclusive);
    bench.want(3, Mode::shared);
    co_await bench.settle();
    bench.told();
    bench.locks.forget(kOne);
    co_await bench.settle();
    CHECK(bench.told() == "claimed 2 ");
    CHECK(bench.held(1) == Mode::none);
    bench.locks.end_claim(2, kOne, Mode::exclusive);
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 ");
    bench.locks.forget(8);
  });
}

TEST_CASE("what is held already is granted at once") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, Mode::exclusive);
    bench.want(1, Mode::shared);
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 granted 1 ");
    CHECK(bench.held(1) == Mode::exclusive);
    const Status none = co_await bench.locks.acquire(1, kOne, Mode::none);
    CHECK(none.code == Code::invalid);
  });
}

TEST_CASE("a million locks stay within 128 bytes each, and a session ends without a look at the others'") {
  run([](Bench& bench) -> Task<> {
    constexpr ResourceId kLocks = 1'000'000;
    const std::size_t before = ::mallinfo2().uordblks;
    for (ResourceId id = 1; id <= kLocks; ++id) bench.locks.try_grant(1 + id % 2, id << 40, Mode::shared);
    const std::size_t bytes = ::mallinfo2().uordblks - before;
    WARN("bytes of one lock: " << static_cast<double>(bytes) / kLocks);
    CHECK(bench.locks.count() == kLocks);
    CHECK(bench.locks.count(1) == kLocks / 2);
    CHECK(bytes <= 128 * kLocks);
    bench.locks.drop(1);
    CHECK(bench.locks.count() == kLocks / 2);
    bench.locks.drop(2);
    CHECK(bench.locks.count() == 0);
    co_return;
  });
}

}  // namespace
}  // namespace rideau::lock
