// SPDX-License-Identifier: Apache-2.0
// Rules of the index suite: what a commit does and reports.
#include "sdk/testkit/index_suite_tools.hpp"

namespace rideau::index_suite {
namespace {

Task<> check_fresh(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.start.fresh-is-empty");
  ModelIndex nothing;
  suite.same(nothing, "fresh storage");
  Snapshot* snapshot = nullptr;
  if (report.ok(suite.store().snapshot(&snapshot), "snapshot")) {
    Bytes value;
    report.equal(snapshot->get(Bytes(std::string_view("no such key")), &value).code, Code::not_found, "get");
    snapshot->release();
  }
  const IndexLimits limits = suite.store().limits();
  report.check(limits.key_bytes_max >= 64, "keys of 64 bytes are allowed");
  report.check(limits.value_bytes_max >= 4096, "values of 4096 bytes are allowed");
  report.check(limits.batch_bytes_max >= limits.key_bytes_max + limits.value_bytes_max, "the largest entry can be put");
  IndexSpace space;
  if (report.ok(suite.store().space(&space), "space")) {
    report.check(space.bytes_free > 0 && space.bytes_free <= space.bytes_total, "an empty store has free space");
  }
  co_return;
}

Task<> check_edits(Suite& suite, ModelIndex& model) {
  Report& report = suite.report;
  report.rule("index.commit.edits-in-order");
  Call call;
  call.batch().put("a", "1").put("a", "2").put("b", "").erase("c").put("c", "3").erase("d");
  call.batch().equals("a", "2").equals("b", "").erase("a").put("a", "again").put("e", std::string(3, '\0'));
  call.batch().equals("a", "again").put("x", "1").erase("x").put("y", "1").erase("y").put("y", "2");
  co_await suite.commit(call);
  report.ok(call.status(), "commit");
  for (const IndexBatch& batch : call.views()) report.ok(batch.status, "batch");
  call.apply_to(model);
  suite.same(model, "after edits of one key in one commit");

  Call overwrite;
  overwrite.batch().put("a", "longer than it was before").put("y", "");
  co_await suite.commit(overwrite);
  report.ok(overwrite.status(), "commit");
  overwrite.apply_to(model);
  suite.same(model, "after overwriting");

  Call erase;
  erase.batch().erase("a").erase("a").erase("never there");
  co_await suite.commit(erase);
  report.ok(erase.status(), "erasing what is absent");
  report.ok(erase.result(0).status, "erasing what is absent");
  erase.apply_to(model);
  suite.same(model, "after erasing");

  Call empty;
  empty.batch();
  co_await suite.commit(empty);
  report.ok(empty.status(), "a batch without edits");
  report.ok(empty.result(0).status, "a batch without edits");
  Call none;
  co_await suite.commit(none);
  report.ok(none.status(), "a commit without batches");
  suite.same(model, "after nothing");
}

void expect(Suite& suite, const Call& call, std::size_t index, Code code, std::string_view what) {
  suite.report.equal(call.result(index).status.code, code, what);
  const bool applied = call.result(index).sequence != 0;
  suite.report.check(applied == (code == Code::ok), std::string(what) + ": a sequence exactly when it was applied");
}

Task<> check_checks(Suite& suite, ModelIndex& model) {
  Report& report = suite.report;
  report.rule("index.commit.checks");
  co_await suite.put("here", "value");
  co_await suite.put("empty", "");
  Call prepared;
  prepared.batch().put("here", "value").put("empty", "");
  prepared.batch();
  co_await suite.commit(prepared);
  prepared.apply_to(model);

  Call call;
  call.batch().absent("gone").put("t1", "1");                              // 0 holds
  call.batch().absent("here").put("t2", "1");                              // 1
  call.batch().present("here").put("t3", "1");                             // 2 holds
  call.batch().present("gone").put("t4", "1");                             // 3
  call.batch().equals("here", "value").put("t5", "1");                     // 4 holds
  call.batch().equals("here", "valu").put("t6", "1");                      // 5
  call.batch().equals("here", "value2").put("t7", "1");                    // 6
  call.batch().equals("gone", "").put("t8", "1");                          // 7: absent is not empty
  call.batch().equals("empty", "").put("t9", "1");                         // 8 holds
  call.batch().equals("here", "").put("t10", "1");                         // 9
  call.batch().present("here").present("t1").absent("t2").put("t11", "");  // 10 holds: sees what 0 did, not what 1 did
  call.batch().present("here").absent("gone").equals("t1", "2").put("t12", "1").erase("here");  // 11: the last fails
  call.batch().present("t3").erase("t3");                                                       // 12 holds
  call.batch().present("t3").put("t13", "1");                                                   // 13
  co_await suite.commit(call);
  report.ok(call.status(), "a commit with checks that fail");
  const bool holds[] = {true, false, true, false, true, false, false, false, true, false, true, false, true, false};
  for (std::size_t i = 0; i < std::size(holds); ++i) {
    expect(suite, call, i, holds[i] ? Code::ok : Code::check_failed, numbered("batch ", i));
    const bool model_holds = model.apply(call.given(i));
    report.check(model_holds == holds[i], "the model agrees");
  }
  suite.same(model, "after checks");

  Call all_fail;
  all_fail.batch().present("gone").put("t20", "1");
  co_await suite.commit(all_fail);
  report.ok(all_fail.status(), "a commit in which nothing holds");
  expect(suite, all_fail, 0, Code::check_failed, "its batch");
  suite.same(model, "after a commit in which nothing holds");
}

Task<> check_sequences(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.commit.sequences");
  if (!co_await suite.open(true)) co_return;
  std::uint64_t last = 0;
  for (int round = 0; round < 10; ++round) {
    Call call;
    const std::string key = numbered("k", static_cast<std::uint64_t>(round));
    call.batch().put(key, "1");
    call.batch().absent(key).put(key, "2");
    call.batch().put(key, "3");
    co_await suite.commit(call, round % 2 == 0 ? Durability::durable : Durability::eventual);
    report.ok(call.status(), "commit");
    if (round == 0) report.equal(call.result(0).sequence, 1, "the first sequence after start");
    report.check(call.result(0).sequence > last, "sequences grow from call to call");
    report.equal(call.result(1).sequence, 0, "sequence of a batch that was not applied");
    report.check(call.result(2).sequence > call.result(0).sequence, "sequences grow within a call");
    report.equal(call.value(), call.result(2).sequence, "value of the completion");
    last = call.value();
  }
  co_await suite.close();
}

}  // namespace

Task<> check_commits(Suite& suite) {
  suite.report.rule("index.start.fresh-is-empty");
  if (!co_await suite.open(true)) co_return;
  co_await check_fresh(suite);
  ModelIndex model;
  co_await check_edits(suite, model);
  co_await check_checks(suite, model);
  co_await suite.close();
  co_await check_sequences(suite);
}

}  // namespace rideau::index_suite
