// SPDX-License-Identifier: Apache-2.0
// Goal: backends/raw_file keeps the contract of ObjectStore, with ample descriptors and slots and with very few, with
// checksums and without.
#include "framework/runtime/real_runtime.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/object_raw_file.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

namespace rideau {
namespace {

void run_suite(RawFileSettings settings, std::uint64_t seed) {
  RealRuntime runtime;
  TestHost host(runtime);
  RawFileFactory factory(runtime, host, settings);
  Report report;
  runtime.run(run_object_suite(runtime, factory, seed, report));
  report.print(stdout);
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 1);  // the full store
}

}  // namespace

TEST_CASE("the object suite passes over raw files") { run_suite({"", 1024, 64}, 1); }

TEST_CASE("the object suite passes over raw files with few descriptors and slots") { run_suite({"", 16, 3}, 2); }

TEST_CASE("the object suite passes over raw files with one slot") { run_suite({"", 16, 1}, 3); }

TEST_CASE("the object suite passes over raw files without checksums") { run_suite({"", 1024, 64, false}, 4); }

TEST_CASE("the object suite passes over raw files without checksums, with one slot") {
  run_suite({"", 16, 1, false}, 5);
}

}  // namespace rideau
