// SPDX-License-Identifier: Apache-2.0
// Goal: the real runtime delivers timers in order, descriptors when they are ready and only then, completions of other
// threads, and nothing after cancel or forget.
#include "framework/runtime/await.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "rideau/host.hpp"

#include <catch2/catch.hpp>

#include <string>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rideau {
namespace {

struct SocketPair {
  int ends[2] = {-1, -1};
  SocketPair() { REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0); }
  ~SocketPair() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
};

Task<> sleep_and_tell(Runtime& runtime, std::uint64_t ms, char letter, std::string& story) {
  const Outcome slept = co_await sleep_for(runtime, ms * kMillisecond);
  CHECK(slept.ok());
  story += letter;
}

Task<> three_sleepers(RealRuntime& runtime, std::string& story) {
  TaskGroup tasks(runtime);
  tasks.spawn(sleep_and_tell(runtime, 30, 'c', story));
  tasks.spawn(sleep_and_tell(runtime, 10, 'a', story));
  tasks.spawn(sleep_and_tell(runtime, 20, 'b', story));
  co_await tasks.join();
}

TEST_CASE("timers ring in the order of their deadlines") {
  RealRuntime runtime;
  std::string story;
  runtime.run(three_sleepers(runtime, story));
  CHECK(story == "abc");
}

Task<Outcome> wait_for(Runtime& runtime, int fd, std::uint32_t events) {
  co_return co_await submit([&](Completion& done) { return runtime.wait_fd(fd, events, done); });
}

Task<> read_when_ready(RealRuntime& runtime, SocketPair& pair, std::string& story) {
  const Outcome ready = co_await wait_for(runtime, pair.ends[0], kWaitReadable);
  CHECK(ready.ok());
  CHECK((ready.value & kWaitReadable) != 0);
  char byte = 0;
  CHECK(::read(pair.ends[0], &byte, 1) == 1);
  story += byte;
}

// A report of one direction must not lose the wait for the other.
Task<> both_directions(RealRuntime& runtime, SocketPair& pair, std::string& story) {
  TaskGroup tasks(runtime);
  tasks.spawn(read_when_ready(runtime, pair, story));
  for (int i = 0; i < 3; ++i) {
    const Outcome writable = co_await wait_for(runtime, pair.ends[0], kWaitWritable);
    CHECK(writable.ok());
    co_await sleep_for(runtime, kMillisecond);
  }
  CHECK(::write(pair.ends[1], "x", 1) == 1);
  co_await tasks.join();
}

TEST_CASE("waits for both directions of one descriptor live side by side") {
  RealRuntime runtime;
  SocketPair pair;
  std::string story;
  runtime.run(both_directions(runtime, pair, story));
  CHECK(story == "x");
}

Task<> wait_and_tell(RealRuntime& runtime, int fd, Code& code) {
  const Outcome ended = co_await wait_for(runtime, fd, kWaitReadable);
  code = ended.status.code;
}

Task<> forget_while_waiting(RealRuntime& runtime, SocketPair& pair, Code& code, Code& second) {
  TaskGroup tasks(runtime);
  tasks.spawn(wait_and_tell(runtime, pair.ends[0], code));
  const Outcome busy = co_await wait_for(runtime, pair.ends[0], kWaitReadable);
  second = busy.status.code;
  runtime.forget_fd(pair.ends[0]);
  co_await tasks.join();
}

TEST_CASE("a descriptor that goes ends its waits; a second wait for one event is refused") {
  RealRuntime runtime;
  SocketPair pair;
  Code code = Code::ok;
  Code second = Code::ok;
  runtime.run(forget_while_waiting(runtime, pair, code, second));
  CHECK(code == Code::closed);
  CHECK(second == Code::invalid);
}

Task<> many_jobs(RealRuntime& runtime, int& sum) {
  for (int i = 1; i <= 100; ++i) {
    int here = 0;
    const Status status = co_await run_blocking(runtime, [&here, i]() -> Status {
      here = i;
      return i == 50 ? Status{Code::io_error, 5, "test"} : kOk;
    });
    CHECK(status.ok() == (i != 50));
    sum += here;
  }
}

TEST_CASE("blocking jobs come back to the node's thread with their result") {
  RealRuntime runtime({.spin_ns = 20'000, .blocking_threads = 2});
  int sum = 0;
  runtime.run(many_jobs(runtime, sum));
  CHECK(sum == 5050);
}

Task<> alarms(RealRuntime& runtime, int& rang) {
  Alarm moved(runtime, [&] { rang += 1; });
  Alarm cleared(runtime, [&] { rang += 100; });
  moved.set(kMillisecond);
  moved.set(5 * kMillisecond);
  cleared.set(kMillisecond);
  cleared.clear();
  {
    Alarm gone(runtime, [&] { rang += 10'000; });
    gone.set(kMillisecond);
  }
  co_await sleep_for(runtime, 20 * kMillisecond);
}

TEST_CASE("an alarm rings once, moved, cleared and destroyed ones do not") {
  RealRuntime runtime;
  int rang = 0;
  runtime.run(alarms(runtime, rang));
  CHECK(rang == 1);
}

struct CancelledSleep : Completion {
  bool resumed = false;
  CancelledSleep() {
    resume = [](Completion* done) noexcept { static_cast<CancelledSleep*>(done)->resumed = true; };
  }
};

Task<> cancel_a_sleep(RealRuntime& runtime, CancelledSleep& cancelled, CancelledSleep& forgotten) {
  CHECK(runtime.sleep(kSecond, cancelled) == Submitted::pending);
  CHECK(runtime.sleep(kMillisecond, forgotten) == Submitted::pending);
  runtime.cancel(cancelled);
  runtime.forget(forgotten);
  CHECK_FALSE(cancelled.resumed);  // never inside the call
  co_await sleep_for(runtime, 5 * kMillisecond);
}

TEST_CASE("cancel arrives as cancelled, forget does not arrive") {
  RealRuntime runtime;
  CancelledSleep cancelled;
  CancelledSleep forgotten;
  runtime.run(cancel_a_sleep(runtime, cancelled, forgotten));
  CHECK(cancelled.resumed);
  CHECK(cancelled.status.code == Code::cancelled);
  CHECK_FALSE(forgotten.resumed);
}

}  // namespace
}  // namespace rideau
