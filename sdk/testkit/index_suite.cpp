// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/index_suite.hpp"

#include "sdk/testkit/index_suite_tools.hpp"

namespace rideau {

Task<> run_index_suite(Runtime& runtime, IndexFactory& factory, std::uint64_t seed, Report& report) {
  using namespace index_suite;
  Suite suite(runtime, factory, seed, report);
  co_await check_commits(suite);
  co_await check_limits(suite);
  co_await check_snapshots(suite);
  co_await check_queue(suite);
  co_await check_life(suite);
  co_await check_full(suite);
  co_await check_random(suite);
  report.finish();
}

}  // namespace rideau
