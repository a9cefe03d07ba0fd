// SPDX-License-Identifier: Apache-2.0
// Goal: what a plugin waits for arrives with its result; cancel ends it early; after kill nothing arrives, so that an
// instance can be destroyed at any moment; open() gives what was wired and nothing else.
#include "framework/plugin_host/host.hpp"
#include "framework/runtime/await.hpp"
#include "framework/runtime/real_runtime.hpp"

#include <catch2/catch.hpp>

#include <thread>

#include <unistd.h>

using namespace rideau;

namespace {

struct Waiter : Completion {
  Waiter() {
    resume = [](Completion* done) noexcept { ++static_cast<Waiter*>(done)->arrivals; };
  }
  int arrivals = 0;
};

struct Work : Job {
  Work() {
    run = [](Job* job) noexcept {
      job->status = {Code::io_error, 5, "work"};
      job->value = 9;
    };
  }
};

Task<> waits(RealRuntime& runtime, NodeHost& host) {
  Waiter slept;
  CHECK(host.sleep(kMillisecond, slept) == Submitted::pending);
  Waiter cancelled;
  CHECK(host.sleep(1000 * kSecond, cancelled) == Submitted::pending);
  host.cancel(cancelled);
  Waiter worked;
  Work work;
  host.run_blocking(work, worked);
  Waiter refused;
  CHECK(host.wait_fd(-1, kWaitReadable, refused) == Submitted::finished);
  CHECK(refused.status.code == Code::invalid);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  Waiter readable;
  Waiter writable;
  CHECK(host.wait_fd(ends[0], kWaitReadable, readable) == Submitted::pending);
  CHECK(host.wait_fd(ends[1], kWaitWritable, writable) == Submitted::pending);
  Waiter completed;
  host.complete(completed, kOk, 3);
  CHECK(completed.arrivals == 0);
  while (slept.arrivals + cancelled.arrivals + worked.arrivals + writable.arrivals < 4) {
    co_await sleep_for(runtime, kMillisecond);
  }
  CHECK(slept.status.ok());
  CHECK(cancelled.status.code == Code::cancelled);
  CHECK(worked.status.code == Code::io_error);
  CHECK(worked.value == 9);
  CHECK(writable.value == kWaitWritable);
  CHECK(completed.arrivals == 1);
  CHECK(readable.arrivals == 0);
  host.forget_fd(ends[0]);
  host.forget_fd(ends[1]);
  co_await yield_now(runtime);
  CHECK(readable.status.code == Code::closed);
  ::close(ends[0]);
  ::close(ends[1]);
}

Task<> after_kill(RealRuntime& runtime) {
  MemoryLogger logger;
  Waiter waiters[4];
  Work work;
  {
    NodeHost host(runtime, logger, "oss0.objects");
    CHECK(host.sleep(kMillisecond, waiters[0]) == Submitted::pending);
    host.run_blocking(work, waiters[1]);
    host.kill();
    CHECK(host.sleep(1, waiters[2]) == Submitted::pending);
    host.complete(waiters[3], kOk, 0);
    host.log(Level::error, "from the dead");
  }
  co_await sleep_for(runtime, 20 * kMillisecond);
  for (const Waiter& waiter : waiters) CHECK(waiter.arrivals == 0);
  CHECK(logger.lines().empty());
}

}  // namespace

TEST_CASE("counts of a plugin add up, also from its jobs, and what is no tally is passed over") {
  RealRuntime runtime;
  NullLogger log;
  NodeHost host(runtime, log, "oss0.index");
  host.count(Tally::system_calls, 2);
  host.count(Tally::copied_bytes, 4096);
  host.count(static_cast<Tally>(99), 7);
  std::thread other([&host] { host.count(Tally::system_calls, 3); });
  other.join();
  CHECK(host.counted(Tally::system_calls) == 5);
  CHECK(host.counted(Tally::copied_bytes) == 4096);
}

TEST_CASE("waits of a plugin") {
  RealRuntime runtime;
  MemoryLogger logger;
  NodeHost host(runtime, logger, "oss0.objects");
  runtime.run(waits(runtime, host));
}

TEST_CASE("nothing arrives after kill") {
  RealRuntime runtime;
  runtime.run(after_kill(runtime));
}

TEST_CASE("open and log") {
  RealRuntime runtime;
  MemoryLogger logger;
  NodeHost host(runtime, logger, "oss0.objects");
  struct Nothing final : Instance {
    Submitted start(Completion& done) noexcept override { return done.finish(kOk); }
    Submitted stop(Completion& done) noexcept override { return done.finish(kOk); }
    void cancel(Completion&) noexcept override {}
    void destroy() noexcept override {}
  } other;
  host.wire("index", PluginKind::index_store, other);
  Instance* found = nullptr;
  CHECK(host.open("index", PluginKind::index_store, &found).ok());
  CHECK(found == &other);
  CHECK(host.open("index", PluginKind::transport, &found).code == Code::invalid);
  CHECK(host.open("map", PluginKind::index_store, &found).code == Code::not_found);
  host.log(Level::info, "hello");
  CHECK(logger.contains("info oss0.objects: hello"));
  CHECK(host.last_complaint().empty());
  host.log(Level::error, "ouch");
  CHECK(host.last_complaint() == "ouch");
}
