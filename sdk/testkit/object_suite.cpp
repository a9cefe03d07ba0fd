// SPDX-License-Identifier: Apache-2.0
// The object suite from its first rule to its last.
#include "sdk/testkit/object_suite.hpp"

#include "sdk/testkit/object_suite_tools.hpp"

namespace rideau {

Task<> run_object_suite(Runtime& runtime, ObjectFactory& factory, std::uint64_t seed, Report& report) {
  using namespace object_suite;
  Suite suite(runtime, factory, seed, report);
  co_await check_bytes(suite);
  co_await check_limits(suite);
  co_await check_lists(suite);
  co_await check_together(suite);
  co_await check_capabilities(suite);
  co_await check_space(suite);
  co_await check_life(suite);
  co_await check_durable(suite);
  co_await check_full(suite);
  co_await check_random(suite);
  report.finish();
}

}  // namespace rideau
