// SPDX-License-Identifier: Apache-2.0
// Rules of the index suite: random commits, snapshots and restarts against the model, from a seed.
#include "sdk/testkit/index_suite_tools.hpp"

namespace rideau::index_suite {
namespace {

constexpr int kSteps = 600;
constexpr std::uint64_t kKeys = 300;

std::string some_key(Dice& dice) {
  const std::uint64_t number = dice.below(kKeys);
  // Lengths differ, so that keys are prefixes of others and fill pages unevenly.
  const std::string tail(number % 50, static_cast<char>('a' + number % 26));
  return numbered("k", number).substr(0, 3 + number % 7) + tail;
}

void add_checks(Dice& dice, Batch& batch, const ModelIndex& model) {
  for (std::uint64_t i = dice.below(3); i > 0; --i) {
    const std::string key = some_key(dice);
    const auto found = model.entries().find(key);
    const bool truthful = !dice.one_in(8);
    if (found == model.entries().end()) {
      truthful ? batch.absent(key) : batch.present(key);
    } else if (dice.one_in(2)) {
      truthful ? batch.present(key) : batch.absent(key);
    } else {
      batch.equals(key, truthful ? found->second : found->second + "?");
    }
  }
}

void add_edits(Dice& dice, Batch& batch) {
  for (std::uint64_t i = dice.below(12); i > 0; --i) {
    const std::string key = some_key(dice);
    if (dice.one_in(3)) {
      batch.erase(key);
    } else {
      batch.put(key, dice.bytes(dice.below(dice.one_in(20) ? 4096 : 120)));
    }
  }
}

Task<> step_commit(Suite& suite, Dice& dice, ModelIndex& model) {
  Report& report = suite.report;
  std::deque<Call> calls;
  for (std::uint64_t i = 1 + dice.below(4); i > 0; --i) {
    Call& call = calls.emplace_back();
    for (std::uint64_t b = 1 + dice.below(4); b > 0; --b) {
      Batch& batch = call.batch();
      add_checks(dice, batch, model);
      add_edits(dice, batch);
    }
    suite.submit(call, dice.one_in(4) ? Durability::durable : Durability::eventual);
  }
  for (Call& call : calls) {
    co_await suite.wait(call);
    report.ok(call.status(), "commit");
    for (std::size_t i = 0; i < call.size(); ++i) {
      const Code expected = model.apply(call.given(i)) ? Code::ok : Code::check_failed;
      report.equal(call.result(i).status.code, expected, "batch");
    }
  }
}

Task<> check_against_model(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.random.agrees-with-the-model");
  Dice dice(suite.seed + 5);
  ModelIndex model;
  Snapshot* old = nullptr;
  ModelIndex old_model;
  if (!co_await suite.open(true)) co_return;
  for (int step = 0; step < kSteps; ++step) {
    co_await step_commit(suite, dice, model);
    if (old == nullptr && dice.one_in(5)) {
      if (report.ok(suite.store().snapshot(&old), "snapshot")) old_model = model;
    }
    const bool restart = dice.one_in(40);
    if (old != nullptr && (restart || dice.one_in(8))) {
      suite.same(*old, old_model, "a snapshot taken earlier");
      old->release();
      old = nullptr;
    }
    if (dice.one_in(10)) suite.same(model, numbered("step ", static_cast<std::uint64_t>(step)));
    if (!restart) continue;
    co_await suite.close();
    if (!co_await suite.open(false)) co_return;
    suite.same(model, "after a restart");
  }
  if (old != nullptr) old->release();
  suite.same(model, "at the end");
  co_await suite.close();
}

}  // namespace

Task<> check_random(Suite& suite) { co_await check_against_model(suite); }

}  // namespace rideau::index_suite
