// SPDX-License-Identifier: Apache-2.0
// Goal: what the server's locks of ranges do: grants that grow, callbacks for what is wanted, fair waiting, conversion,
// giving back by number, the end of a holder or a resource; and, at random, held against a map of every position.
#include "framework/lock/extent_locks.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/task_group.hpp"
#include "tests/unit/seed_count.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <functional>
#include <list>
#include <random>
#include <string>
#include <utility>

namespace rideau::lock {
namespace {

constexpr ResourceId kOne = 7;
constexpr GrantNumber kAny = ~0ull;

std::string text(Extent range) {
  return std::to_string(range.begin) + "-" + (range.end == kExtentEnd ? "end" : std::to_string(range.end));
}

struct Bench final : ExtentLocks::Events {
  RealRuntime runtime;
  ExtentLocks locks{runtime, *this};
  TaskGroup tasks{runtime};
  std::string story;  // what happened, in order
  bool tells = true;

  void revoke_extent(HolderId holder, ResourceId, Extent range, GrantNumber, Mode wanted) override {
    story += "revoke " + std::to_string(holder) + (wanted == Mode::exclusive ? "x " : "s ") + text(range) + " ";
  }
  Task<> take(HolderId holder, Extent wanted, Mode mode) {
    const auto granted = co_await locks.acquire(holder, kOne, wanted, mode);
    story += "granted " + std::to_string(holder) + " " + (granted.ok() ? text(granted->range) : "nothing") + " ";
    if (tells && granted.ok()) locks.told(holder, kOne, granted->number);
  }
  void want(HolderId holder, Extent wanted, Mode mode = Mode::exclusive) { tasks.spawn(take(holder, wanted, mode)); }
  void release(HolderId holder, Extent range, GrantNumber number = kAny) { locks.release(holder, kOne, range, number); }
  Task<> settle() {
    for (int i = 0; i < 5; ++i) co_await yield_now(runtime);
  }
  std::string told() { return std::exchange(story, {}); }
};

void run(const std::function<Task<>(Bench&)>& body) {
  Bench bench;
  bench.runtime.run(body(bench));
}

TEST_CASE("who is alone gets everything, and gives back what others want") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, {100, 200});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end ");
    bench.want(2, {500, 600});
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x 500-600 ");
    bench.release(1, {300, kExtentEnd});
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 300-end ");
    CHECK(bench.locks.holds(1, kOne, {0, 300}, Mode::exclusive));
    CHECK_FALSE(bench.locks.holds(1, kOne, {0, 301}, Mode::shared));
    CHECK(bench.locks.count() == 2);
    CHECK(bench.locks.writers(kOne, 1) == std::vector<HolderId>{2});
  });
}

TEST_CASE("a grant grows to the next range that somebody waits for") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, {0, kExtentEnd});
    bench.want(2, {100, 200});
    bench.want(3, {300, 400});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end revoke 1x 100-200 revoke 1x 300-400 ");
    bench.release(1, {0, kExtentEnd});
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 0-300 granted 3 300-end ");
  });
}

TEST_CASE("readers share, and their grants grow over each other's") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, {0, 10}, Mode::shared);
    bench.want(2, {20, 30}, Mode::shared);
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end granted 2 0-end ");
    bench.want(1, {20, 30});
    co_await bench.settle();
    CHECK(bench.told() == "revoke 2x 20-30 ");
    bench.release(2, {20, 40});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 20-40 ");
    CHECK(bench.locks.holds(1, kOne, {20, 40}, Mode::exclusive));
    CHECK(bench.locks.holds(1, kOne, {0, kExtentEnd}, Mode::shared));
    CHECK_FALSE(bench.locks.holds(1, kOne, {19, 40}, Mode::exclusive));
  });
}

TEST_CASE("nobody overtakes a waiter whose range conflicts with his") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, {0, kExtentEnd});
    bench.want(2, {100, 200});
    bench.want(3, {150, 250});
    bench.want(4, {300, 400});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end revoke 1x 100-200 revoke 1x 200-250 revoke 1x 300-400 ");
    bench.release(1, {150, kExtentEnd});
    co_await bench.settle();
    CHECK(bench.told() == "granted 4 250-end ");  // 3 is behind 2, and 2 not free
    bench.release(1, {100, 150});
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 100-200 revoke 2x 150-200 ");
    bench.release(2, {150, 200});
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 150-250 ");
  });
}

TEST_CASE("who has what an earlier one waits for is served before him") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, {0, 100});
    bench.want(2, {100, 200});
    co_await bench.settle();
    bench.release(1, {100, kExtentEnd});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end revoke 1x 100-200 granted 2 100-end ");
    bench.want(2, {0, 50});
    bench.want(1, {40, 140});
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x 0-50 revoke 2x 100-140 ");
    bench.release(2, {100, 140});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 40-140 revoke 1x 40-50 ");
    bench.release(1, {0, 50});
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 0-50 ");
  });
}

TEST_CASE("and before whoever is behind that one") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, {0, 100});
    bench.want(4, {100, 200});
    co_await bench.settle();
    bench.release(1, {100, kExtentEnd});
    bench.want(2, {200, 300});
    co_await bench.settle();
    bench.release(4, {200, kExtentEnd});
    co_await bench.settle();
    bench.told();
    bench.want(2, {50, 150});   // waits for 1 and for 4
    bench.want(3, {140, 160});  // waits for 4, and is behind 2
    bench.want(1, {155, 170});  // meets 3 alone, who does not want what 1 has
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x 50-100 revoke 4x 100-150 revoke 4x 150-160 revoke 4x 160-170 ");
    bench.release(4, {150, 170});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 155-170 revoke 1x 155-160 ");
    bench.release(1, {50, 100});
    bench.release(4, {100, 150});
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 50-150 revoke 2x 140-150 ");
    bench.release(2, {140, 150});
    bench.release(1, {155, 160});
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 140-160 ");
  });
}

TEST_CASE("a range is not asked back before its holder was told of it") {
  run([](Bench& bench) -> Task<> {
    bench.tells = false;
    bench.want(1, {0, 10});
    bench.want(2, {0, 10});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end ");
    bench.locks.told(1, kOne, bench.locks.last_number());
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x 0-10 ");
    CHECK(bench.locks.owes(1, kOne, {5, 6}, kAny));
    CHECK_FALSE(bench.locks.owes(1, kOne, {10, 20}, kAny));
  });
}

TEST_CASE("a give-back takes nothing that was granted later, which is asked for once more") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, {0, 10});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end ");
    const GrantNumber first = bench.locks.last_number();
    bench.release(1, {0, 20}, first);
    bench.want(1, {0, 10});
    bench.want(2, {0, 10});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end revoke 1x 0-10 ");
    bench.release(1, {0, 10}, first);
    co_await bench.settle();
    CHECK(bench.told() == "revoke 1x 0-10 ");
    bench.release(1, {0, 10}, bench.locks.last_number());
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 0-10 ");
  });
}

TEST_CASE("the end of a holder, or of what it has of a resource, lets others go on") {
  run([](Bench& bench) -> Task<> {
    bench.want(1, {0, 10});
    bench.want(2, {0, 10});
    bench.want(3, {5, 20});
    co_await bench.settle();
    CHECK(bench.told() == "granted 1 0-end revoke 1x 0-10 revoke 1x 10-20 ");
    bench.locks.drop_waiting(2);
    co_await bench.settle();
    CHECK(bench.told() == "granted 2 nothing ");
    bench.locks.drop(1);
    co_await bench.settle();
    CHECK(bench.told() == "granted 3 0-end ");
    bench.want(4, {0, 1});
    co_await bench.settle();
    CHECK(bench.told() == "revoke 3x 0-1 ");
    bench.locks.drop(4, kOne);
    co_await bench.settle();
    CHECK(bench.told() == "granted 4 nothing ");
    bench.locks.forget(kOne);
    CHECK(bench.locks.count() == 0);
    CHECK(bench.locks.count(3) == 0);
    CHECK(bench.locks.put(5, kOne, {10, 20}, Mode::exclusive));
    CHECK_FALSE(bench.locks.put(6, kOne, {19, 30}, Mode::shared));
    CHECK(bench.locks.put(6, kOne, {20, 30}, Mode::shared));
  });
}

// Clients that hold and want at random; each position knows who has it how.
constexpr std::uint64_t kPositions = 32;
constexpr HolderId kHolders = 4;

struct Model final : ExtentLocks::Events {
  using Map = std::array<Mode, kPositions>;
  struct Asked {
    HolderId holder;
    Extent range;
    GrantNumber number;
  };
  RealRuntime runtime;
  ExtentLocks locks{runtime, *this};
  TaskGroup tasks{runtime};
  std::array<Map, kHolders + 1> maps{};
  std::array<GrantNumber, kHolders + 1> newest{};
  std::list<Asked> asked;
  int waiting = 0;

  void revoke_extent(HolderId holder, ResourceId, Extent range, GrantNumber number, Mode) override {
    asked.push_back({holder, range, number});
  }
  static Extent bounded(Extent range) { return {range.begin, std::min(range.end, kPositions)}; }
  Task<> take(HolderId holder, Extent wanted, Mode mode) {
    ++waiting;
    const auto granted = co_await locks.acquire(holder, kOne, wanted, mode);
    --waiting;
    if (!granted.ok()) co_return;
    CHECK(granted->range.contains(wanted));
    newest[holder] = granted->number;
    const Extent range = bounded(granted->range);
    for (std::uint64_t at = range.begin; at < range.end; ++at) {
      maps[holder][at] = std::max(maps[holder][at], mode);
      for (HolderId other = 1; other <= kHolders; ++other) {
        if (other != holder) REQUIRE(compatible(maps[other][at], maps[holder][at]));
      }
    }
    locks.told(holder, kOne, granted->number);
  }
  void give_back(HolderId holder, Extent range, GrantNumber number) {
    const Extent inside = bounded(range);
    for (std::uint64_t at = inside.begin; at < inside.end; ++at) maps[holder][at] = Mode::none;
    locks.release(holder, kOne, range, std::max(number, newest[holder]));
  }
  void check() {
    for (HolderId holder = 1; holder <= kHolders; ++holder) {
      for (std::uint64_t at = 0; at < kPositions; ++at) {
        const Mode mode = maps[holder][at];
        if (mode != Mode::none) REQUIRE(locks.holds(holder, kOne, {at, at + 1}, mode));
      }
    }
  }
};

TEST_CASE("at random: nobody shares what he has alone, and everybody gets what he asked for") {
  for (std::uint64_t seed = 0; seed < test::seed_count(300); ++seed) {
    INFO("seed " << seed);
    Model model;
    std::mt19937 random(static_cast<unsigned>(seed));
    const auto below = [&random](std::uint64_t bound) { return random() % bound; };
    const auto any_range = [&below] {
      const std::uint64_t begin = below(kPositions - 1);
      return Extent{begin, below(4) == 0 ? kExtentEnd : begin + 1 + below(kPositions - begin)};
    };
    model.runtime.run([](Model& bench, auto& chance, auto& any) -> Task<> {
      for (int step = 0; step < 200; ++step) {
        const HolderId holder = 1 + chance(kHolders);
        switch (chance(8)) {
          case 0:
            bench.give_back(holder, any(), 0);
            break;
          case 1:
            if (chance(8) != 0) break;
            bench.maps[holder].fill(Mode::none);
            std::erase_if(bench.asked, [holder](const auto& one) { return one.holder == holder; });
            bench.locks.drop(holder);
            break;
          case 2:
          case 3:
          case 4: {
            const Extent wanted = any();
            const Mode mode = chance(2) == 0 ? Mode::shared : Mode::exclusive;
            bench.tasks.spawn(bench.take(holder, wanted, mode));
            break;
          }
          default:
            if (bench.asked.empty()) break;
            auto one = bench.asked.begin();
            std::advance(one, chance(bench.asked.size()));
            const Model::Asked owed = *one;
            bench.asked.erase(one);
            bench.give_back(owed.holder, owed.range, owed.number);
        }
        co_await yield_now(bench.runtime);
        bench.check();
      }
      // Whoever is asked gives back: everybody gets his turn.
      for (int step = 0; step < 10'000 && bench.waiting > 0; ++step) {
        if (!bench.asked.empty()) {
          const Model::Asked owed = bench.asked.front();
          bench.asked.pop_front();
          bench.give_back(owed.holder, owed.range, owed.number);
        }
        co_await yield_now(bench.runtime);
        bench.check();
      }
      REQUIRE(bench.waiting == 0);
      for (HolderId holder = 1; holder <= kHolders; ++holder) bench.locks.drop(holder);
      REQUIRE(bench.locks.count() == 0);
    }(model, below, any_range));
  }
}

}  // namespace
}  // namespace rideau::lock
