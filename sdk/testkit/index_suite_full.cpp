// SPDX-License-Identifier: Apache-2.0
// Rules of the index suite: a full store refuses cleanly, can always be emptied, and then takes entries again.
#include "sdk/testkit/index_suite_tools.hpp"

#include <algorithm>

namespace rideau::index_suite {
namespace {

constexpr std::uint64_t kSmallStore = 64u << 20;
constexpr std::uint64_t kCallsMax = 200'000;  // more than fit into a small store

struct Filling {
  std::uint64_t calls_max = 0;
  int puts = 0;  // of each batch
  std::size_t value_bytes = 0;
};

// Puts until the store is full. Returns whether it said so in time; the refusal must leave nothing.
Task<bool> fill(Suite& suite, Dice& dice, ModelIndex& model, Filling filling) {
  Report& report = suite.report;
  for (std::uint64_t calls = 0; calls < filling.calls_max; ++calls) {
    Call call;
    for (int b = 0; b < 2; ++b) {
      Batch& batch = call.batch();
      for (int e = 0; e < filling.puts; ++e) {
        batch.put(numbered("k", dice.below(10'000'000)), dice.bytes(dice.below(filling.value_bytes)));
      }
    }
    co_await suite.commit(call, Durability::eventual);
    if (call.status().code == Code::no_space) {
      for (const IndexBatch& batch : call.views()) {
        report.equal(batch.status.code, Code::no_space, "a batch of a refused call");
        report.equal(batch.sequence, 0, "sequence of a refused batch");
      }
      suite.same(model, "after no_space");
      co_return true;
    }
    if (!report.ok(call.status(), "put until full")) co_return false;
    call.apply_to(model);
  }
  co_return false;
}

// Erases all entries but one in `keep_one_in` (0: all of them), in batches that say that they free space.
Task<bool> erase(Suite& suite, Dice& dice, ModelIndex& model, std::uint64_t keep_one_in, std::size_t a_call) {
  Report& report = suite.report;
  std::vector<std::string> victims;
  for (const auto& [key, value] : model.entries()) {
    if (keep_one_in == 0 || !dice.one_in(keep_one_in)) victims.push_back(key);
  }
  a_call = std::max(a_call, victims.size() / 150);
  for (std::size_t at = 0; at < victims.size();) {
    Call call;
    Batch& batch = call.batch().frees_space();
    for (std::size_t i = 0; i < a_call && at < victims.size(); ++i) {
      batch.present(victims[at]).erase(victims[at]);
      ++at;
    }
    co_await suite.commit(call, Durability::eventual);
    if (!report.ok(call.status(), "erase from a full store")) co_return false;
    if (!report.ok(call.result(0).status, "erase from a full store")) co_return false;
    call.apply_to(model);
  }
  co_return true;
}

Task<> check_cycles(Suite& suite, std::uint64_t bytes_free_at_first) {
  Report& report = suite.report;
  Dice dice(suite.seed + 4);
  ModelIndex model;
  IndexSpace space;
  // A larger store gets larger calls: a device needs its time for each.
  const int puts = static_cast<int>(8 + bytes_free_at_first / (256u << 10));
  for (int cycle = 0; cycle < 4; ++cycle) {
    report.rule("index.full.refuses-cleanly");
    // Large calls first; then small ones, so that little is left beside the reserve.
    Filling large{kCallsMax, puts, 400};
    if (cycle % 2 == 1) large.value_bytes = 3000;
    const bool refused = co_await fill(suite, dice, model, large);
    if (!report.check(refused, "a small store becomes full")) co_return;
    const Filling small{150, 1, 200};
    co_await fill(suite, dice, model, small);
    if (!report.check(!model.entries().empty(), "a full store holds something")) co_return;
    report.ok(suite.store().space(&space), "space");
    report.check(space.bytes_free < bytes_free_at_first / 2, "a full store has little free space");

    report.rule("index.full.mixed-call-is-whole");
    Call mixed;
    mixed.batch().frees_space().erase(model.entries().begin()->first);
    mixed.batch().put("not freeing", dice.bytes(3000));
    co_await suite.commit(mixed);
    if (mixed.status().ok()) {
      mixed.apply_to(model);
    } else {
      report.equal(mixed.status().code, Code::no_space, "a call that mixes both kinds");
    }
    suite.same(model, "after a call that mixes both kinds");

    report.rule("index.full.reserve-is-kept");
    Call smaller;
    Batch& exchange = smaller.batch().frees_space();
    std::size_t erased = 0;
    for (const auto& [key, value] : model.entries()) {
      if (erased >= 3000) break;
      exchange.erase(key);
      erased += key.size() + value.size();
    }
    exchange.put("less than was erased", dice.bytes(1500));
    co_await suite.commit(smaller);
    report.ok(smaller.status(), "a batch that erases more than it puts");
    smaller.apply_to(model);
    suite.same(model, "after a batch that erases more than it puts");

    report.rule("index.full.erasing-works");
    if (!co_await erase(suite, dice, model, cycle % 2 == 0 ? 0 : 10, cycle < 2 ? 7 : 50)) co_return;
    suite.same(model, "after erasing");
    report.ok(suite.store().space(&space), "space");
    report.check(space.bytes_free > bytes_free_at_first / 2, "an emptied store has space again");
  }
  report.rule("index.full.takes-entries-again");
  Call call;
  Batch& batch = call.batch();
  for (std::uint64_t i = 0; i < 50; ++i) batch.put(numbered("again", i), dice.bytes(500));
  co_await suite.commit(call);
  report.ok(call.status(), "put after erasing");
  call.apply_to(model);
  suite.same(model, "put after erasing");
  co_await suite.close();
  if (!co_await suite.open(false)) co_return;
  suite.same(model, "all of it after a restart");
}

}  // namespace

Task<> check_full(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.full.refuses-cleanly");
  if (!co_await suite.open(true)) co_return;
  IndexSpace space;
  if (!report.ok(suite.store().space(&space), "space")) co_return;
  if (space.bytes_total > kSmallStore) {
    report.unsupported("index.full", "the store has more than 64 MiB; run the suite over a small one as well");
  } else {
    co_await check_cycles(suite, space.bytes_free);
  }
  co_await suite.close();
}

}  // namespace rideau::index_suite
