// SPDX-License-Identifier: Apache-2.0
// Rules of the index suite: the order of keys, and snapshots that see one state.
#include "sdk/testkit/index_suite_tools.hpp"

#include <algorithm>

namespace rideau::index_suite {
namespace {

std::string neighbour(std::string key, std::uint64_t which) {
  switch (which % 5) {
    case 0:
      return key;
    case 1:
      return key + std::string(1, '\0');
    case 2:
      key.back() = static_cast<char>(static_cast<unsigned char>(key.back()) + 1);
      return key;
    case 3:
      return key.size() > 1 ? key.substr(0, key.size() - 1) : key;
    default:
      return key + '\xff';
  }
}

void check_seek(Suite& suite, Snapshot& snapshot, const ModelIndex& model, const std::string& from) {
  Report& report = suite.report;
  Bytes key;
  Bytes value;
  Status status = snapshot.seek(Bytes(std::string_view(from)), &key, &value);
  auto expected = model.entries().lower_bound(from);
  for (int steps = 0; steps < 3; ++steps) {
    if (expected == model.entries().end()) {
      report.equal(status.code, Code::not_found, "seek or next at the end");
      report.equal(snapshot.next(&key, &value).code, Code::not_found, "next after the end");
      return;
    }
    if (!report.ok(status, "seek or next")) return;
    report.check(key.view() == expected->first, "the first key that is not less");
    report.check(value.view() == expected->second, "its value");
    ++expected;
    status = snapshot.next(&key, &value);
  }
}

Task<> check_order(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.snapshot.order");
  if (!co_await suite.open(true)) co_return;
  Dice dice(suite.seed);
  ModelIndex model;
  std::vector<std::string> keys;
  const std::size_t longest = std::min<std::size_t>(suite.store().limits().key_bytes_max, 40);
  for (int round = 0; round < 20; ++round) {
    Call call;
    Batch& batch = call.batch();
    for (int i = 0; i < 40; ++i) {
      // Families of keys that are prefixes of each other and differ in single bytes, zero and 255 included.
      std::string key = keys.empty() || dice.one_in(2) ? dice.bytes(1 + dice.below(longest - 2))
                                                       : neighbour(keys[dice.below(keys.size())], dice.roll());
      if (key.size() > longest) key.resize(longest);
      keys.push_back(key);
      batch.put(key, dice.bytes(dice.below(60)));
    }
    co_await suite.commit(call, Durability::eventual);
    report.ok(call.status(), "commit");
    call.apply_to(model);
  }
  suite.same(model, "all entries in order");
  Snapshot* snapshot = nullptr;
  if (report.ok(suite.store().snapshot(&snapshot), "snapshot")) {
    check_seek(suite, *snapshot, model, std::string());
    check_seek(suite, *snapshot, model, std::string(longest + 1, '\xff'));
    for (int i = 0; i < 500; ++i) {
      std::string from = neighbour(keys[dice.below(keys.size())], dice.roll());
      if (from.empty()) from = "x";
      check_seek(suite, *snapshot, model, from);
      Bytes value;
      const auto expected = model.entries().find(from);
      const Status status = snapshot->get(Bytes(std::string_view(from)), &value);
      report.check(status.ok() == (expected != model.entries().end()), "get finds what is there");
      if (status.ok()) report.check(value.view() == expected->second, "get returns the value");
    }
    snapshot->release();
  }
  co_await suite.close();
}

struct Held {
  Snapshot* snapshot = nullptr;
  ModelIndex model;
  Bytes value;  // of `key`, got when the snapshot was made; must stay as it is
  std::string key;
};

Task<> check_isolation(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.snapshot.sees-one-state");
  if (!co_await suite.open(true)) co_return;
  Dice dice(suite.seed + 1);
  ModelIndex model;
  std::deque<Held> held;
  for (int round = 0; round < 60; ++round) {
    Call call;
    Batch& batch = call.batch();
    for (int i = 0; i < 30; ++i) {
      const std::string key = numbered("k", dice.below(200));
      if (dice.one_in(3)) {
        batch.erase(key);
      } else {
        batch.put(key, dice.bytes(dice.below(dice.one_in(10) ? 3000 : 100)));
      }
    }
    batch.put("always", numbered("round ", static_cast<std::uint64_t>(round)));
    co_await suite.commit(call, Durability::eventual);
    report.ok(call.status(), "commit");
    call.apply_to(model);
    if (dice.one_in(4)) {
      Held& one = held.emplace_back();
      one.model = model;
      one.key = "always";
      if (!report.ok(suite.store().snapshot(&one.snapshot), "snapshot")) {
        held.pop_back();
        continue;
      }
      report.ok(one.snapshot->get(Bytes(std::string_view(one.key)), &one.value), "get");
    }
    if (held.size() > 5 || (!held.empty() && dice.one_in(6))) {
      const std::size_t which = dice.below(held.size());
      Held& one = held[which];
      suite.same(*one.snapshot, one.model, "an older snapshot");
      const auto expected = one.model.entries().find(one.key);
      report.check(expected != one.model.entries().end() && one.value.view() == expected->second,
                   "a value stays valid until release");
      one.snapshot->release();
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
    }
  }
  for (Held& one : held) {
    suite.same(*one.snapshot, one.model, "an older snapshot at the end");
    one.snapshot->release();
  }
  suite.same(model, "the newest state");
  co_await suite.close();
}

// While commits are under way a snapshot sees each batch whole or not at all, and never goes back.
Task<> check_atomic(Suite& suite) {
  Report& report = suite.report;
  report.rule("index.snapshot.sees-batches-whole");
  if (!co_await suite.open(true)) co_return;
  co_await suite.put("a", "0");
  co_await suite.put("z", "0");
  std::string seen_before;
  for (std::uint64_t round = 1; round <= 30; ++round) {
    Call call;
    const std::string value = numbered("", round);
    Batch& batch = call.batch();
    batch.put("a", value);
    for (std::uint64_t i = 0; i < 100; ++i) batch.put(numbered("m", round * 100 + i), value);
    batch.put("z", value);
    suite.submit(call, Durability::eventual);
    bool last_look = false;
    while (!last_look) {
      last_look = call.ended();
      Snapshot* snapshot = nullptr;
      if (!report.ok(suite.store().snapshot(&snapshot), "snapshot while a commit is pending")) break;
      Bytes a;
      Bytes z;
      report.ok(snapshot->get(Bytes(std::string_view("a")), &a), "get");
      report.ok(snapshot->get(Bytes(std::string_view("z")), &z), "get");
      report.check(a.view() == z.view(), "both ends of a batch, or neither");
      if (last_look) report.check(a.view() == value, "a completed batch is seen");
      if (!seen_before.empty()) report.check(a.view() >= seen_before, "snapshots do not go back");
      if (a.view() != "0") seen_before = a.view();
      snapshot->release();
      if (!last_look) co_await sleep_for(suite.runtime, 20 * kMicrosecond);
    }
    co_await suite.wait(call);
    report.ok(call.status(), "commit");
  }
  co_await suite.close();
}

}  // namespace

Task<> check_snapshots(Suite& suite) {
  co_await check_order(suite);
  co_await check_isolation(suite);
  co_await check_atomic(suite);
}

}  // namespace rideau::index_suite
