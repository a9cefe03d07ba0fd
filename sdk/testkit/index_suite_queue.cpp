// SPDX-License-Identifier: Apache-2.0
// Rules of the index suite: many commits at one time, cancelling, and stop with commits pending.
#include "sdk/testkit/index_suite_tools.hpp"

namespace rideau::index_suite {
namespace {

constexpr std::uint64_t kCallsQueued = 200;

// Each call holds only when the one before took effect.
void chain(Call& call, std::uint64_t number) {
  Batch& batch = call.batch();
  if (number == 0) {
    batch.absent("chain");
  } else {
    batch.equals("chain", numbered("", number - 1));
  }
  batch.put("chain", numbered("", number)).put(numbered("k", number), "");
}

Task<> check_many(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.queue.order-without-waiting");
  if (!co_await suite.open(true)) co_return;
  std::deque<Call> calls;
  for (std::uint64_t i = 0; i < kCallsQueued; ++i) {
    Call& call = calls.emplace_back();
    chain(call, i);
    suite.submit(call, i % 3 == 0 ? Durability::durable : Durability::eventual);
    report.check(!call.ended() || call.status().ok(), "a queue of 200 commits is accepted");
  }
  std::uint64_t last = 0;
  ModelIndex model;
  for (Call& call : calls) {
    co_await suite.wait(call);
    report.ok(call.status(), "commit");
    report.ok(call.result(0).status, "a batch that builds on the commit before");
    report.check(call.result(0).sequence > last, "sequences follow the order of submission");
    last = call.result(0).sequence;
    call.apply_to(model);
  }
  suite.same(model, "after 200 commits");
  for (int i = 0; i < 5; ++i) co_await yield_now(suite.runtime);
  for (const Call& call : calls) report.equal(call.completions(), 1, "completions of a call");
  co_await suite.close();
}

Task<> check_cancel(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.queue.cancel");
  if (!co_await suite.open(true)) co_return;
  std::deque<Call> calls;
  for (std::uint64_t i = 0; i < 20; ++i) {
    Call& call = calls.emplace_back();
    call.batch().put(numbered("k", i), "1");
    suite.submit(call, Durability::durable);
  }
  for (std::size_t i = 1; i < calls.size(); i += 2) {
    if (!calls[i].ended()) calls[i].cancel(suite.store());
  }
  ModelIndex model;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    co_await suite.wait(calls[i]);
    const bool cancelled = i % 2 == 1 && calls[i].status().code == Code::cancelled;
    report.check(cancelled || calls[i].status().ok(), "a cancelled call took effect or reports cancelled");
    calls[i].apply_to(model);
  }
  suite.same(model, "what was cancelled was not applied");
  for (int i = 0; i < 5; ++i) co_await yield_now(suite.runtime);
  for (const Call& call : calls) report.equal(call.completions(), 1, "completions of a call");
  co_await suite.close();
}

Task<> check_stop(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.stop.with-commits-pending");
  if (!co_await suite.open(true)) co_return;
  std::deque<Call> calls;
  for (std::uint64_t i = 0; i < kCallsQueued; ++i) {
    Call& call = calls.emplace_back();
    chain(call, i);
    suite.submit(call, Durability::eventual);
  }
  IndexStore& store = suite.store();
  const Outcome stopped = co_await submit([&store](Completion& done) { return store.stop(done); });
  report.ok(stopped.status, "stop");
  for (int i = 0; i < 5; ++i) co_await yield_now(suite.runtime);
  ModelIndex model;
  bool closed = false;
  for (const Call& call : calls) {
    report.equal(call.completions(), 1, "completions of a call at the end of stop");
    if (!call.ended()) continue;
    if (call.status().code == Code::closed) {
      closed = true;
    } else {
      report.ok(call.status(), "a call at stop is done or closed");
      report.check(!closed, "what was done is a prefix");
    }
    call.apply_to(model);
  }
  Call late;
  late.batch().put("late", "1");
  co_await suite.commit(late);
  report.equal(late.status().code, Code::closed, "commit after stop");
  Snapshot* snapshot = nullptr;
  report.equal(store.snapshot(&snapshot).code, Code::closed, "snapshot after stop");
  suite.kill();
  if (!co_await suite.open(false)) co_return;
  suite.same(model, "after an orderly stop everything that completed is there, and nothing else");
  co_await suite.close();
}

}  // namespace

Task<> check_queue(Suite& suite) {
  co_await check_many(suite);
  co_await check_cancel(suite);
  co_await check_stop(suite);
}

}  // namespace rideau::index_suite
