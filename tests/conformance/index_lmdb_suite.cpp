// SPDX-License-Identifier: Apache-2.0
// Goal: backends/lmdb keeps the contract of IndexStore, with a large map and with one that becomes full.
#include "framework/runtime/real_runtime.hpp"
#include "tests/conformance/index_lmdb.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

namespace rideau {
namespace {

void run_suite(std::int64_t map_size, std::uint64_t seed, std::size_t unsupported) {
  RealRuntime runtime;
  TestHost host(runtime);
  LmdbFactory factory(host, map_size);
  Report report;
  runtime.run(run_index_suite(runtime, factory, seed, report));
  report.print(stdout);
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == unsupported);
}

}  // namespace

TEST_CASE("the index suite passes over a large LMDB map") { run_suite(std::int64_t{1} << 30, 1, 1); }

TEST_CASE("the index suite passes over small LMDB maps") {
  run_suite(std::int64_t{4} << 20, 2, 0);
  run_suite(std::int64_t{8} << 20, 3, 0);
}

}  // namespace rideau
