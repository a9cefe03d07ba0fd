// SPDX-License-Identifier: Apache-2.0
// Rules about space: what allocate keeps, and what find_data tells of holes.
#include "sdk/testkit/object_suite_tools.hpp"

#include <algorithm>

namespace rideau::object_suite {

namespace {

constexpr ObjectId kObject{12, 1};
constexpr ObjectId kAbsent{12, 2};

Task<> check_allocate(Suite& suite) {
  Report& report = suite.report;
  if (!suite.allocates()) {
    report.rule("object.capability.allocate-not-declared");
    report.equal((co_await suite.allocate(kObject, 0, 4096)).code, Code::unsupported,
                 "allocate, which is not declared");
    co_await suite.expect_absent(kObject, "after an unsupported allocate");
    co_return;
  }
  report.rule("object.allocate.keeps-bytes-and-size");
  Dice dice(suite.seed + 21);
  const std::string bytes = dice.nonzero_bytes(10'000);
  report.ok(co_await suite.write(kObject, 0, bytes), "write");
  report.ok(co_await suite.allocate(kObject, 5000, 3'000'000), "allocate over the end");
  co_await suite.expect(kObject, bytes, "after allocate");
  ObjectStat found;
  report.ok(co_await suite.stat(kObject, &found), "stat");
  report.check(found.bytes_used >= 3'000'000, "the space is in use");
  report.ok(co_await suite.allocate(kObject, 0, 0), "allocate nothing");

  report.rule("object.allocate.makes-the-object");
  report.ok(co_await suite.allocate(kAbsent, 100'000, 5000), "allocate in no object");
  co_await suite.expect(kAbsent, std::string(), "an object without bytes");
  report.ok(co_await suite.write(kAbsent, 100'001, std::string("x")), "write into it");
  co_await suite.expect(kAbsent, std::string(100'001, '\0') + "x", "what was not written is zero");

  report.rule("object.allocate.limits");
  const std::uint64_t most = suite.store().limits().object_bytes_max;
  report.equal((co_await suite.allocate(kObject, most, 1)).code, Code::too_large, "allocate over the limit");
  report.equal((co_await suite.allocate(kObject, 1, UINT64_MAX)).code, Code::too_large, "allocate far over it");
  ObjectSpace space;
  report.ok(suite.store().space(&space), "space");
  if (space.bytes_total < most / 2) {
    report.equal((co_await suite.allocate(kObject, 0, space.bytes_total + (1u << 20))).code, Code::no_space,
                 "allocate more than there is");
    co_await suite.expect(kObject, bytes, "after an allocate that does not fit");
  }
  report.ok(co_await suite.remove(kObject), "remove");
  report.ok(co_await suite.remove(kAbsent), "remove");
}

// Finds every run of data; false when one of them is out of order.
Task<bool> find_all(Suite& suite, ObjectId id, std::vector<ObjectExtent>* runs) {
  for (std::uint64_t at = 0;;) {
    ObjectExtent run;
    const Status status = co_await suite.find_data(id, at, &run);
    suite.report.ok(status, "find_data");
    if (!status.ok() || run.begin == run.end) co_return status.ok();
    if (run.begin < at || run.end < run.begin) co_return false;
    runs->push_back(run);
    at = run.end;
  }
}

Task<> check_find_data(Suite& suite) {
  Report& report = suite.report;
  ObjectExtent run;
  if (!suite.maps()) {
    report.rule("object.capability.find-data-not-declared");
    report.ok(co_await suite.write(kObject, 0, std::string("bytes")), "write");
    report.equal((co_await suite.find_data(kObject, 0, &run)).code, Code::unsupported, "which is not declared");
    report.ok(co_await suite.remove(kObject), "remove");
    co_return;
  }
  report.rule("object.find-data.no-data-is-missed");
  Dice dice(suite.seed + 22);
  const std::uint64_t gap = 10u << 20;
  for (const std::uint64_t at : {gap, 3 * gap + 17, 5 * gap}) {
    report.ok(co_await suite.write(kObject, at, dice.nonzero_bytes(70'000)), "write");
  }
  report.ok(co_await suite.truncate(kObject, 7 * gap), "truncate");
  std::vector<ObjectExtent> runs;
  report.check(co_await find_all(suite, kObject, &runs), "runs ascend");
  for (const std::uint64_t at : {gap, 3 * gap + 17, 5 * gap}) {
    const auto covers = [at](const ObjectExtent& one) { return one.begin <= at && at + 70'000 <= one.end; };
    report.check(std::any_of(runs.begin(), runs.end(), covers), "what was written is in a run");
  }

  report.rule("object.find-data.finds-large-holes");
  report.equal(runs.size(), 3, "runs");
  report.ok(co_await suite.find_data(kObject, 2 * gap, &run), "find_data in a hole");
  report.check(run.begin > 2 * gap + gap / 2, "the hole is told");
  report.ok(co_await suite.find_data(kObject, 6 * gap, &run), "find_data behind the last run");
  report.check(run.begin == 7 * gap && run.end == 7 * gap, "an empty run at the end");
  report.ok(co_await suite.find_data(kObject, 9 * gap, &run), "find_data beyond the end");
  report.check(run.begin == run.end, "an empty run");
  report.equal((co_await suite.find_data(kAbsent, 0, &run)).code, Code::not_found, "find_data in no object");
  report.ok(co_await suite.remove(kObject), "remove");
}

}  // namespace

Task<> check_space(Suite& suite) {
  suite.report.rule("object.life.start-of-an-empty-store");
  const bool opened = co_await suite.open(true);
  if (!opened) co_return;
  co_await check_allocate(suite);
  co_await check_find_data(suite);
  co_await suite.close();
}

}  // namespace rideau::object_suite
