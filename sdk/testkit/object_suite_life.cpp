// SPDX-License-Identifier: Apache-2.0
// Rules of the object suite: what is there after a restart, an orderly one or none; one instance at a time; a full
// store.
#include "sdk/testkit/object_suite_tools.hpp"

#include <algorithm>

namespace rideau::object_suite {
namespace {

constexpr std::uint64_t kSmallStore = 64ull << 20;

Task<> check_reopen(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.reopen.after-stop");
  Dice dice(suite.seed + 21);
  ModelObjects model;
  for (int round = 0; round < 4; ++round) {
    const bool opened = co_await suite.open(round == 0);
    if (!opened) co_return;
    co_await suite.expect_all(model, "at start");
    for (int i = 0; i < 10; ++i) {
      const ObjectId id{dice.below(4), dice.below(4)};
      const std::uint64_t offset = dice.below(100'000);
      const std::string bytes = dice.nonzero_bytes(dice.below(10'000));
      report.ok(co_await suite.write(id, offset, bytes), "write");
      model.write(id, offset, bytes);
    }
    const ObjectId gone{dice.below(4), dice.below(4)};
    report.ok(co_await suite.remove(gone), "remove");
    model.remove(gone);
    co_await suite.close();
  }
  const bool opened = co_await suite.open(false);
  if (!opened) co_return;
  co_await suite.expect_all(model, "at the last start");
  co_await suite.close();
}

Task<> check_second_open(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.life.one-instance");
  const bool opened = co_await suite.open(true);
  if (!opened) co_return;
  const ObjectId id{3, 3};
  report.ok(co_await suite.write(id, 0, std::string("first")), "write");
  Result<ObjectStore*> made = suite.factory.make();
  if (report.ok(made.status(), "make a second instance")) {
    ObjectStore* second = *made;
    const Outcome started = co_await rideau::submit([second](Completion& done) { return second->start(done); });
    report.equal(started.status.code, Code::exists, "start of a second instance");
    second->destroy();
  }
  co_await suite.expect(id, std::string("first"), "after a second start");
  report.ok(co_await suite.write(id, 0, std::string("still")), "write after a second start");
  co_await suite.close();
  const bool again = co_await suite.open(false);
  if (!again) co_return;
  co_await suite.expect(id, std::string("still"), "after both");
  co_await suite.close();
}

Task<> check_stop_while_pending(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.life.stop-ends-what-is-pending");
  Dice dice(suite.seed + 22);
  for (int round = 0; round < 5; ++round) {
    const bool opened = co_await suite.open(true);
    if (!opened) co_return;
    std::deque<Call> calls(200);
    std::deque<std::string> contents;
    for (std::uint64_t i = 0; i < calls.size(); ++i) {
      const ObjectId id{i % 50, 0};
      contents.emplace_back();
      Call& call = calls[i];
      suite.adopt(call);
      if (i < 100) {
        contents.back() = dice.nonzero_bytes(5000);
        call.write(suite.store(), id, (i / 50) * 5000, contents.back());
      } else if (i % 3 == 0) {
        call.read(suite.store(), id, 0, 10'000);
      } else if (i % 3 == 1) {
        call.flush(suite.store(), i % 2 == 0 ? std::vector<ObjectId>() : std::vector<ObjectId>{id});
      } else if (i % 5 == 0) {
        call.list(suite.store(), nullptr, 100);
      } else {
        call.stat(suite.store(), id);
      }
    }
    co_await suite.close();
    for (std::uint64_t i = 0; i < calls.size(); ++i) {
      const Code code = calls[i].status().code;
      report.equal(calls[i].completions(), 1, "completions of a call that was pending when the store stopped");
      report.check(code == Code::ok || code == Code::closed || code == Code::not_found, "its status");
    }
    const bool again = co_await suite.open(false);
    if (!again) co_return;
    for (std::uint64_t i = 0; i < 100; ++i) {
      if (!calls[i].status().ok()) continue;
      const ObjectId id{i % 50, 0};
      std::string bytes;
      const Status done = co_await suite.read(id, (i / 50) * 5000, 5000, &bytes);
      report.ok(done, "read of what was written before the stop");
      report.check(bytes == contents[i], "what was written before the stop");
    }
    for (const Call& call : calls) report.equal(call.completions(), 1, "completions, a while later");
    co_await suite.close();
  }
}

Task<> check_start_destroy(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.life.destroy-without-start");
  Result<ObjectStore*> made = suite.factory.make();
  if (report.ok(made.status(), "make an instance")) (*made)->destroy();
  const bool opened = co_await suite.open(false);
  report.check(opened, "start after that");
  co_await suite.close();
}

std::string name_of(int round) { return "after power cut " + std::to_string(round); }

// Everything is flushed, then power goes while later calls, also unflushed ones, are on their way.
Task<> check_flush_all(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.flush.all-survives-a-power-cut");
  Dice dice(suite.seed + 23);
  ModelObjects model;
  for (int round = 0; round < 12; ++round) {
    const bool opened = co_await suite.open(round == 0);
    if (!opened) co_return;
    for (const auto& [id, bytes] : model.objects()) co_await suite.expect(id, bytes, name_of(round));
    for (std::uint64_t low = 0; low < 8; ++low) {
      const ObjectId id{low * 0x100'0000, low};
      if (!model.exists(id)) co_await suite.expect_absent(id, name_of(round));
    }
    for (int i = 0; i < 12; ++i) {
      const std::uint64_t low = dice.below(8);
      const ObjectId id{low * 0x100'0000, low};
      const std::uint64_t kind = dice.below(8);
      if (kind == 0) {
        report.ok(co_await suite.remove(id), "remove");
        model.remove(id);
      } else if (kind == 1) {
        const std::uint64_t size = dice.below(40'000);
        report.ok(co_await suite.truncate(id, size), "truncate");
        model.truncate(id, size);
      } else if (kind == 2 && suite.punches() && model.exists(id)) {
        const std::uint64_t offset = dice.below(20'000);
        report.ok(co_await suite.punch(id, offset, 9000), "punch");
        model.punch(id, offset, 9000);
      } else {
        const std::uint64_t offset = dice.below(30'000);
        const std::string bytes = dice.nonzero_bytes(dice.below(9000));
        report.ok(co_await suite.write(id, offset, bytes), "write");
        model.write(id, offset, bytes);
      }
    }
    report.ok(co_await suite.flush(std::vector<ObjectId>()), "flush of all");
    // Other objects only: what becomes of these is open.
    for (std::uint64_t i = 0; i < 10; ++i)
      suite.call().write(suite.store(), ObjectId{77, i}, 0, dice.nonzero_bytes(3000));
    if (dice.one_in(2)) co_await suite.wait_all();
    if (dice.one_in(2)) suite.call().flush(suite.store(), {});
    suite.kill();
  }
}

// Some objects are flushed by name; the others may be old or new.
Task<> check_flush_some(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.flush.named-survive-a-power-cut");
  Dice dice(suite.seed + 24);
  for (int round = 0; round < 12; ++round) {
    const bool opened = co_await suite.open(true);
    if (!opened) co_return;
    ModelObjects flushed;
    std::vector<ObjectId> ids;
    const ObjectId removed{6, 1000};
    report.ok(co_await suite.write(removed, 0, dice.nonzero_bytes(100)), "write");
    report.ok(co_await suite.flush(std::vector<ObjectId>()), "flush of all");
    for (std::uint64_t i = 0; i < 20; ++i) {
      const ObjectId id{6 + i / 7, i};
      const std::string bytes = dice.nonzero_bytes(1 + dice.below(9000));
      report.ok(co_await suite.write(id, 0, bytes), "write");
      if (!dice.one_in(2)) continue;
      ids.push_back(id);
      flushed.write(id, 0, bytes);
    }
    report.ok(co_await suite.remove(removed), "remove");
    ids.push_back(removed);
    ids.push_back(ObjectId{6, 2000});  // which never was
    report.ok(co_await suite.flush(ids), "flush of some");
    suite.kill();
    const bool again = co_await suite.open(false);
    if (!again) co_return;
    for (const auto& [id, bytes] : flushed.objects()) co_await suite.expect(id, bytes, name_of(round));
    co_await suite.expect_absent(removed, name_of(round));
    co_await suite.close();
  }
}

// Where `unit` aligned bytes are neither all old, nor all new, nor all zero; or npos.
std::size_t torn_at(std::string_view found, std::string_view before, std::string_view after, std::size_t unit) {
  for (std::size_t at = 0; at < found.size(); at += unit) {
    const std::string_view piece = found.substr(at, unit);
    const bool zero = piece.find_first_not_of('\0') == std::string_view::npos;
    if (!zero && piece != before.substr(at, unit) && piece != after.substr(at, unit)) return at;
  }
  return std::string_view::npos;
}

Task<> check_unflushed(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.flush.unflushed-is-old-or-new");
  Dice dice(suite.seed + 25);
  const std::size_t size = 64 * 1024;
  for (int round = 0; round < 12; ++round) {
    const bool opened = co_await suite.open(true);
    if (!opened) co_return;
    const std::size_t unit = suite.store().limits().atomic_bytes;
    const ObjectId id{12, 34};
    const std::string before = dice.nonzero_bytes(size);
    report.ok(co_await suite.write(id, 0, before), "write");
    const std::vector<ObjectId> only(1, id);
    report.ok(co_await suite.flush(only), "flush");
    std::string after = before;
    for (int i = 0; i < 6; ++i) {  // aligned units, each written once
      const std::size_t units = size / std::max<std::size_t>(unit, 512) / 6;
      const std::size_t step = std::max<std::size_t>(unit, 512);
      if (units == 0) break;
      const std::string bytes = dice.nonzero_bytes((1 + dice.below(units)) * step);
      const std::size_t offset = static_cast<std::size_t>(i) * units * step;
      after.replace(offset, bytes.size(), bytes);
      report.ok(co_await suite.write(id, offset, bytes), "write that is not flushed");
    }
    suite.kill();
    const bool again = co_await suite.open(false);
    if (!again) co_return;
    std::string found;
    const Status done = co_await suite.read(id, 0, size, &found);
    report.ok(done, "read after the power cut");
    report.equal(found.size(), size, "size of a flushed object");
    const std::size_t torn = torn_at(found, before, after, unit);
    report.check(torn == std::string_view::npos, "each unit is old, new or zero; not at " + std::to_string(torn));
    co_await suite.close();
  }
}

// Fills the store, and finds it working again after something was removed.
Task<> fill_and_free(Suite& suite) {
  Report& report = suite.report;
  const std::size_t step = std::min<std::size_t>(suite.store().limits().io_bytes_max, 256 * 1024);
  const std::string bytes(step, 'F');
  Status status{};
  std::uint64_t written = 0;
  while (status.ok() && written <= 2 * kSmallStore / step) {
    const ObjectId id{20, written};
    status = co_await suite.write(id, 0, bytes);
    if (status.ok()) ++written;
  }
  if (!report.equal(status.code, Code::no_space, "write into a full store")) co_return;
  report.check(written > 1, "something fits");
  for (std::uint64_t i = 0; i < written; ++i) {
    const ObjectId id{20, i};
    co_await suite.expect(id, bytes, "in a full store");
  }
  report.ok(co_await suite.flush(std::vector<ObjectId>()), "flush of a full store");
  const ObjectId removed[] = {{20, 0}, {20, 1}};
  for (const ObjectId id : removed) report.ok(co_await suite.remove(id), "remove from a full store");
  report.ok(co_await suite.flush(std::vector<ObjectId>()), "flush of a full store");
  const ObjectId late{21, 0};
  report.ok(co_await suite.write(late, 0, bytes), "write after something was removed");
  co_await suite.expect(late, bytes, "written after something was removed");
}

}  // namespace

Task<> check_life(Suite& suite) {
  co_await check_reopen(suite);
  co_await check_second_open(suite);
  co_await check_stop_while_pending(suite);
  co_await check_start_destroy(suite);
}

Task<> check_durable(Suite& suite) {
  co_await check_flush_all(suite);
  co_await check_flush_some(suite);
  co_await check_unflushed(suite);
}

Task<> check_full(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.life.start-of-an-empty-store");
  const bool opened = co_await suite.open(true);
  if (!opened) co_return;
  ObjectSpace space;
  const Status asked = suite.store().space(&space);
  report.ok(asked, "space");
  if (asked.ok() && space.bytes_total <= kSmallStore) {
    report.rule("object.full.refuses-and-recovers");
    co_await fill_and_free(suite);
    co_await suite.close();
  } else {
    co_await suite.close();
    report.unsupported("object.full.refuses-and-recovers", "the store is larger than 64 MiB");
  }
}

}  // namespace rideau::object_suite
