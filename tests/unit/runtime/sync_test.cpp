// SPDX-License-Identifier: Apache-2.0
// Goal: coroutines wait for each other in order, bounded units are handed out fairly, and a group that goes takes its
// unfinished tasks with it.
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"

#include <catch2/catch.hpp>

#include <string>

namespace rideau {
namespace {

Task<> take_and_tell(Credits& credits, std::uint64_t amount, char letter, std::string& story) {
  co_await credits.take(amount);
  story += letter;
}

Task<> fair_credits(RealRuntime& runtime, std::string& story) {
  Credits credits(runtime, 2);
  TaskGroup tasks(runtime);
  tasks.spawn(take_and_tell(credits, 2, 'a', story));
  tasks.spawn(take_and_tell(credits, 2, 'b', story));  // waits, and the small ones behind it wait too
  tasks.spawn(take_and_tell(credits, 1, 'c', story));
  CHECK_FALSE(credits.try_take(1));
  credits.give_back(1);
  co_await yield_now(runtime);
  CHECK(story == "a");
  credits.give_back(2);
  co_await tasks.join();
  CHECK(credits.free() == 0);
}

TEST_CASE("credits go first come first served") {
  RealRuntime runtime;
  std::string story;
  runtime.run(fair_credits(runtime, story));
  CHECK(story == "abc");
}

Task<> critical(Runtime& runtime, AsyncMutex& mutex, int& inside, int& most) {
  co_await mutex.lock();
  most = std::max(most, ++inside);
  co_await yield_now(runtime);
  --inside;
  mutex.unlock();
}

Task<> excluded(RealRuntime& runtime, int& most) {
  AsyncMutex mutex(runtime);
  TaskGroup tasks(runtime);
  int inside = 0;
  for (int i = 0; i < 10; ++i) tasks.spawn(critical(runtime, mutex, inside, most));
  co_await tasks.join();
}

TEST_CASE("a mutex admits one") {
  RealRuntime runtime;
  int most = 0;
  runtime.run(excluded(runtime, most));
  CHECK(most == 1);
}

struct CountsItsEnd {
  int& ends;
  ~CountsItsEnd() { ++ends; }
};

Task<> waits_for_ever(WaitQueue& queue, int& ends) {
  const CountsItsEnd local{ends};
  co_await queue.wait();
  FAIL("nobody wakes it");
}

Task<> outer(WaitQueue& queue, int& ends) {
  const CountsItsEnd local{ends};
  co_await waits_for_ever(queue, ends);
}

Task<> killed(RealRuntime& runtime, int& ends) {
  WaitQueue queue(runtime);
  {
    TaskGroup tasks(runtime);
    for (int i = 0; i < 3; ++i) tasks.spawn(outer(queue, ends));
    CHECK(tasks.size() == 3);
  }
  co_await yield_now(runtime);
}

TEST_CASE("a group that goes destroys the frames of its unfinished tasks, those they await included") {
  RealRuntime runtime;
  int ends = 0;
  runtime.run(killed(runtime, ends));
  CHECK(ends == 6);
}

Task<int> depth(int left) {
  if (left == 0) co_return 0;
  const int below = co_await depth(left - 1);
  co_return below + 1;
}

Task<> deep(int& result) { result = co_await depth(10'000); }

TEST_CASE("a long chain of awaits needs no stack") {
  RealRuntime runtime;
  int result = 0;
  runtime.run(deep(result));
  CHECK(result == 10'000);
}

}  // namespace
}  // namespace rideau
