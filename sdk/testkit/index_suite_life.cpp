// SPDX-License-Identifier: Apache-2.0
// Rules of the index suite: what is there after a restart, an orderly one or none, and that only one runs at a time.
#include "sdk/testkit/index_suite_tools.hpp"

namespace rideau::index_suite {
namespace {

Task<> check_reopen(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.reopen.after-stop");
  Dice dice(suite.seed + 2);
  ModelIndex model;
  for (int round = 0; round < 4; ++round) {
    if (!co_await suite.open(round == 0)) co_return;
    suite.same(model, "at start");
    for (int i = 0; i < 5; ++i) {
      Call call;
      for (int b = 0; b < 3; ++b) {
        Batch& batch = call.batch();
        for (int e = 0; e < 10; ++e) batch.put(numbered("k", dice.below(100)), dice.bytes(dice.below(200)));
        batch.erase(numbered("k", dice.below(100)));
      }
      co_await suite.commit(call, i % 2 == 1 ? Durability::durable : Durability::eventual);
      report.ok(call.status(), "commit");
      if (i == 0) report.equal(call.result(0).sequence, 1, "the first sequence after each start");
      call.apply_to(model);
    }
    co_await suite.close();
  }
  if (!co_await suite.open(false)) co_return;
  suite.same(model, "at the last start");
  co_await suite.close();
}

// How many of the batches the storage holds: they were applied in order, and each whole.
std::size_t applied_batches(Suite& suite, const std::deque<Call>& calls, ModelIndex& model) {
  Snapshot* snapshot = nullptr;
  if (!suite.report.ok(suite.store().snapshot(&snapshot), "snapshot")) return 0;
  Bytes value;
  const Status status = snapshot->get(Bytes(std::string_view("count")), &value);
  const std::string count = status.ok() ? std::string(value.view()) : std::string();
  snapshot->release();
  std::size_t applied = 0;
  for (const Call& call : calls) {
    for (std::size_t i = 0; i < call.size(); ++i) {
      const auto found = model.entries().find("count");
      const std::string at = found == model.entries().end() ? std::string() : found->second;
      if (at == count) return applied;
      model.apply(call.given(i));
      ++applied;
    }
  }
  return applied;
}

// destroy() without stop(), as a power cut or kill -9 does to it.
Task<> check_kill(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.reopen.after-kill");
  Dice dice(suite.seed + 3);
  ModelIndex model;
  std::deque<std::deque<Call>> kept;  // calls that will never complete stay in memory until the end
  std::uint64_t number = 0;
  for (int round = 0; round < 8; ++round) {
    if (!co_await suite.open(round == 0)) break;
    suite.same(model, "at start");
    std::deque<Call>& calls = kept.emplace_back();
    const std::uint64_t count = 1 + dice.below(40);
    const std::uint64_t waited = dice.below(count);  // the calls up to this one complete before the kill
    for (std::uint64_t i = 0; i < count; ++i) {
      Call& call = calls.emplace_back();
      Batch& first = call.batch();
      for (int e = 0; e < 5; ++e) first.put(numbered("k", dice.below(300)), dice.bytes(dice.below(300)));
      first.erase(numbered("k", dice.below(300))).put("count", numbered("", ++number));
      call.batch().put(numbered("k", dice.below(300)), "second").put("count", numbered("", ++number));
      suite.submit(call, i == waited || dice.one_in(2) ? Durability::durable : Durability::eventual);
    }
    co_await suite.wait(calls[waited]);
    report.ok(calls[waited].status(), "a durable commit");
    suite.kill();
    for (Call& call : calls) {
      if (!call.ended()) call.abandon(suite.runtime);
    }
    if (!co_await suite.open(false)) break;
    const std::size_t applied = applied_batches(suite, calls, model);
    report.check(applied >= 2 * (waited + 1), "a durable commit that completed, and all before it, survive");
    suite.same(model, "a prefix of the batches, each of them whole");
    co_await suite.close();
  }
}

Task<> check_second(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.start.second-is-refused");
  if (!co_await suite.open(true)) co_return;
  co_await suite.put("first", "1");
  Result<IndexStore*> second = suite.factory.make();
  if (report.ok(second.status(), "make a second instance")) {
    IndexStore* store = *second;
    const Outcome started = co_await submit([store](Completion& done) { return store->start(done); });
    report.equal(started.status.code, Code::exists, "start on storage that is in use");
    if (started.ok()) {
      const Outcome stopped = co_await submit([store](Completion& done) { return store->stop(done); });
      report.ok(stopped.status, "stop of the second");
    }
    store->destroy();
  }
  co_await suite.put("still", "works");
  ModelIndex model;
  Call expected;
  expected.batch().put("first", "1").put("still", "works");
  co_await suite.commit(expected);
  expected.apply_to(model);
  suite.same(model, "the first is not disturbed");
  co_await suite.close();
  if (!co_await suite.open(false)) co_return;
  suite.same(model, "and after it ended the storage can be opened again");
  co_await suite.close();
}

}  // namespace

Task<> check_life(Suite& suite) {
  co_await check_reopen(suite);
  co_await check_kill(suite);
  co_await check_second(suite);
}

}  // namespace rideau::index_suite
