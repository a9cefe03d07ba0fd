// SPDX-License-Identifier: Apache-2.0
// Goal: a flush makes everything durable also when more files and folders are dirty than the store knows by name, and
// checksums come to the index after it.
#include "tests/unit/raw_file/sums_bench.hpp"

namespace rideau::raw_file {
namespace {

constexpr std::uint64_t kObjects = 200;

// Each in a folder of its own.
ObjectId object(std::uint64_t number) { return {number << 8, 0}; }

Task<> dirty_many(SumsBench& bench) {
  const bool opened = co_await bench.suite.open(true);
  if (!opened) co_return;
  for (std::uint64_t i = 0; i < kObjects; ++i) {
    bench.suite.call().write(bench.suite.store(), object(i), 0, std::string("z"));
  }
  co_await bench.suite.wait_all();
  bench.suite.forget_calls();
  const std::vector<ObjectId> last(1, object(kObjects - 1));
  bench.report.ok(co_await bench.suite.flush(last), "flush of one that is beyond the table");
  co_await bench.settled();
  // Whether the others are durable is not known.
  CHECK(bench.factory.disk.count_with("Rs") == 0);
  bench.report.ok(co_await bench.suite.flush({}), "flush of all");
  bench.report.ok(co_await bench.suite.flush({}), "flush of nothing");
  co_await bench.suite.expect(last[0], std::string("z"), "beyond the table");
  co_await bench.settled();
  CHECK(bench.factory.disk.count_with("Rs") == (bench.factory.settings.checksums ? kObjects : 0));
  co_await bench.suite.close();
}

}  // namespace

TEST_CASE("more dirty objects than the tables hold are flushed") {
  SumsBench bench;
  bench.factory.settings.dirty_max = 50;
  SECTION("with checksums") { bench.factory.settings.checksums = true; }
  SECTION("without checksums") { bench.factory.settings.checksums = false; }
  bench.run(dirty_many(bench));
}

}  // namespace rideau::raw_file
