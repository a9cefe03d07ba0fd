// SPDX-License-Identifier: Apache-2.0
// Rules of the object suite: listings, many calls at once, and what is declared or is not.
#include "sdk/testkit/object_suite_tools.hpp"

#include <algorithm>

namespace rideau::object_suite {
namespace {

// Ids that are close to each other, far apart, and at the ends.
std::vector<ObjectId> many_ids(Dice& dice) {
  std::vector<ObjectId> ids{{0, 0}, {0, 1}, {0, UINT64_MAX}, {1, 0}, {UINT64_MAX, 0}, {UINT64_MAX, UINT64_MAX}};
  for (std::uint64_t i = 0; i < 100; ++i) ids.push_back({(7ull << 40) + i / 4, i % 4});
  for (std::uint64_t i = 0; i < 50; ++i) ids.push_back({dice.roll(), dice.roll()});
  for (std::uint64_t bit = 1; bit < 64; ++bit) ids.push_back({1ull << bit, 1ull << (63 - bit)});
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

Task<> check_pages(Suite& suite, const std::vector<ObjectId>& ids, std::uint32_t capacity) {
  Report& report = suite.report;
  std::vector<ObjectId> listed;
  while (listed.size() <= ids.size()) {
    Call& page = suite.call();
    const ObjectId after = listed.empty() ? ObjectId{} : listed.back();
    page.list(suite.store(), listed.empty() ? nullptr : &after, capacity);
    co_await suite.wait(page);
    if (!report.ok(page.status(), "list")) break;
    const std::vector<ObjectId> found = page.ids();
    suite.forget_calls();
    if (found.empty()) break;
    const std::size_t due = std::min<std::size_t>(capacity, ids.size() - std::min(ids.size(), listed.size()));
    report.equal(found.size(), due, "a page is full while there are more");
    listed.insert(listed.end(), found.begin(), found.end());
  }
  report.check(listed == ids, "pages of " + std::to_string(capacity) + " list every object once, in order");
}

Task<> check_writes_at_once(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.together.many-calls");
  Dice dice(suite.seed + 11);
  ModelObjects model;
  for (int round = 0; round < 4; ++round) {
    // Eight objects, sixteen ranges each, that do not overlap.
    for (std::uint64_t i = 0; i < 128; ++i) {
      const ObjectId id{100 + i % 8, 0};
      const std::uint64_t offset = (i / 8) * 10'000 + dice.below(1000);
      const std::string bytes = dice.nonzero_bytes(1 + dice.below(9000));
      model.write(id, offset, bytes);
      suite.call().write(suite.store(), id, offset, bytes, dice.one_in(3) ? 1000 : 0);
    }
    std::vector<Call*> calls;
    co_await suite.wait_all();
    suite.forget_calls();
    co_await suite.expect_all(model, "after writes side by side");
    for (std::uint64_t i = 0; i < 128; ++i) {
      const ObjectId id{100 + i % 8, 0};
      calls.push_back(&suite.call());
      calls.back()->read(suite.store(), id, i * 1000, 1000);
    }
    co_await suite.wait_all();
    for (std::uint64_t i = 0; i < calls.size(); ++i) {
      const ObjectId id{100 + i % 8, 0};
      report.ok(calls[i]->status(), "a read side by side with others");
      report.check(calls[i]->status().ok() && calls[i]->read_bytes() == model.read(id, i * 1000, 1000), "its bytes");
    }
    suite.forget_calls();
  }
}

// Objects come and go while others are flushed and listed.
Task<> check_mixed_at_once(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.together.mixed-calls");
  Dice dice(suite.seed + 12);
  ModelObjects model;
  for (int round = 0; round < 10; ++round) {
    std::vector<Call*> calls;
    for (std::uint64_t i = 0; i < 40; ++i) {
      const ObjectId id{i * 1000, 5};
      Call& call = suite.call();
      calls.push_back(&call);
      const std::uint64_t kind = dice.below(4);
      if (kind == 0) {
        call.remove(suite.store(), id);
        model.remove(id);
      } else if (kind == 1) {
        const std::uint64_t size = dice.below(30'000);
        call.truncate(suite.store(), id, size);
        model.truncate(id, size);
      } else {
        const std::uint64_t offset = dice.below(10'000);
        const std::string bytes = dice.nonzero_bytes(dice.below(20'000));
        call.write(suite.store(), id, offset, bytes);
        model.write(id, offset, bytes);
      }
      if (i % 13 == 0) suite.call().flush(suite.store(), {});
      if (i % 17 == 0) suite.call().list(suite.store(), nullptr, 20);
      if (i % 7 == 0) suite.call().flush(suite.store(), {id, ObjectId{i * 1000 + 1000, 5}});
    }
    co_await suite.wait_all();
    for (const Call* call : calls) report.ok(call->status(), "a call side by side with others");
    for (const Call* call : calls) report.equal(call->completions(), 1, "completions of a call");
    suite.forget_calls();
    co_await suite.expect_all(model, "after mixed calls");
  }
}

Task<> check_cancel(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.together.cancel");
  Dice dice(suite.seed + 13);
  std::vector<Call*> calls;
  std::vector<std::string> contents;
  for (std::uint64_t i = 0; i < 100; ++i) {
    contents.push_back(dice.nonzero_bytes(20'000));
    calls.push_back(&suite.call());
    calls.back()->write(suite.store(), ObjectId{500 + i % 4, i}, 0, contents.back());
  }
  for (Call* call : calls) {
    if (!call->ended()) call->cancel(suite.store());
  }
  co_await suite.wait_all();
  const Call* const* at = calls.data();
  for (std::uint64_t i = 0; i < calls.size(); ++i) {
    const Code code = at[i]->status().code;
    report.check(code == Code::ok || code == Code::cancelled, "a cancelled call is done or cancelled");
    report.equal(at[i]->completions(), 1, "completions of a cancelled call");
    const ObjectId id{500 + i % 4, i};
    if (code == Code::ok) co_await suite.expect(id, contents[i], "done although cancelled");
  }
  suite.forget_calls();
}

Task<> check_lends(Suite& suite) {
  Report& report = suite.report;
  const ObjectId id{9, 9};
  const std::string bytes(5000, 'L');
  report.rule("object.capability.lend");
  report.ok(co_await suite.write(id, 0, bytes), "write");
  Call& call = suite.call();
  call.lend(suite.store(), id, 0, 4096, Purpose::read);
  co_await suite.wait(call);
  if (!suite.lends()) {
    report.equal(call.status().code, Code::unsupported, "lend, which is not declared");
    suite.forget_calls();
    co_return;
  }
  if (report.ok(call.status(), "lend for reading")) {
    const Bytes lent = call.loan().bytes;
    report.check(lent.size > 0 && lent.view() == std::string_view(bytes).substr(0, lent.size), "the lent bytes");
    suite.store().give_back(call.loan());
  }
  Call& blank = suite.call();
  blank.lend(suite.store(), id, 8192, 4096, Purpose::write);
  co_await suite.wait(blank);
  if (report.ok(blank.status(), "lend for writing")) {
    const MutableBytes lent = blank.loan().bytes;
    std::fill(lent.data, lent.data + lent.size, std::uint8_t{'W'});
    std::vector<IoVec> parts{{lent.data, lent.size}};
    Call& write = suite.call();
    write.transfer(suite.store(), true, id, 8192, parts);
    co_await suite.wait(write);
    report.ok(write.status(), "write of a lent buffer");
    suite.store().give_back(blank.loan());
    const std::string gap(8192 - bytes.size(), '\0');
    co_await suite.expect(id, bytes + gap + std::string(lent.size, 'W'), "written from a lent buffer");
  }
  suite.forget_calls();
}

}  // namespace

Task<> check_lists(Suite& suite) {
  Report& report = suite.report;
  report.rule("object.list.ascending-pages");
  const bool opened = co_await suite.open(true);
  if (!opened) co_return;
  Dice dice(suite.seed + 10);
  const std::uint32_t capacities[] = {1, 7, 64, 5000};
  co_await check_pages(suite, std::vector<ObjectId>(), 10);
  const std::vector<ObjectId> ids = many_ids(dice);
  std::vector<ObjectId> shuffled = ids;
  for (std::size_t i = shuffled.size(); i > 1; --i) std::swap(shuffled[i - 1], shuffled[dice.below(i)]);
  for (const ObjectId id : shuffled) report.ok(co_await suite.write(id, 0, std::string("x")), "write");
  for (const std::uint32_t capacity : capacities) co_await check_pages(suite, ids, capacity);

  report.rule("object.list.after-an-absent-id");
  ModelObjects model;
  for (const ObjectId id : ids) model.write(id, 0, "x");
  for (int i = 0; i < 40; ++i) {
    ObjectId after = ids[dice.below(ids.size())];
    if (i % 2 == 0) after.low += dice.below(3) - 1;
    if (i % 3 == 0) after.high ^= 1ull << dice.below(64);
    Call& page = suite.call();
    page.list(suite.store(), &after, 5);
    co_await suite.wait(page);
    report.ok(page.status(), "list");
    report.check(page.ids() == model.list(&after, 5), "the ids after " + object_name(after));
    suite.forget_calls();
  }
  Call& none = suite.call();
  none.list(suite.store(), nullptr, 0);
  co_await suite.wait(none);
  report.ok(none.status(), "list with no room");
  report.equal(none.value(), 0, "ids with no room");
  suite.forget_calls();

  report.rule("object.list.without-the-removed");
  for (std::size_t i = 0; i < ids.size(); i += 2) {
    report.ok(co_await suite.remove(ids[i]), "remove");
    model.remove(ids[i]);
    if (i % 32 == 0) report.ok(co_await suite.flush(std::vector<ObjectId>()), "flush");
  }
  const std::vector<ObjectId> left = model.list(nullptr, ids.size());
  for (const std::uint32_t capacity : capacities) co_await check_pages(suite, left, capacity);
  co_await suite.expect_all(model, "after removals");
  co_await suite.close();
}

Task<> check_together(Suite& suite) {
  using Part = Task<> (*)(Suite&);
  const Part parts[] = {check_writes_at_once, check_mixed_at_once, check_cancel};
  for (const Part part : parts) {
    suite.report.rule("object.life.start-of-an-empty-store");
    const bool opened = co_await suite.open(true);
    if (!opened) co_return;
    co_await part(suite);
    co_await suite.close();
  }
}

Task<> check_capabilities(Suite& suite) {
  suite.report.rule("object.life.start-of-an-empty-store");
  const bool opened = co_await suite.open(true);
  if (!opened) co_return;
  co_await check_lends(suite);
  if (!suite.punches()) {
    Report& report = suite.report;
    report.rule("object.capability.punch-not-declared");
    const ObjectId id{9, 10};
    const std::string bytes(5000, 'P');
    report.ok(co_await suite.write(id, 0, bytes), "write");
    report.equal((co_await suite.punch(id, 0, 4096)).code, Code::unsupported, "punch, which is not declared");
    co_await suite.expect(id, bytes, "after an unsupported punch");
  }
  co_await suite.close();
}

}  // namespace rideau::object_suite
