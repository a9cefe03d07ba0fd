// SPDX-License-Identifier: Apache-2.0
// The parts of the transport suite, one after the other.
#include "sdk/testkit/transport_suite.hpp"

#include "sdk/testkit/transport_suite_tools.hpp"

namespace rideau {

namespace {

using transport_suite::Stage;

// Every part gets a stage of its own, so that a failure in one does not hide the others.
Task<> run_part(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report,
                Task<> (*part)(Stage&)) {
  Stage stage(runtime, factory, report, seed);
  report.rule("transport.life.starts-and-stops");
  const bool open = co_await stage.open();
  if (open) co_await part(stage);
  report.rule("transport.life.starts-and-stops");
  co_await stage.close();
}

}  // namespace

Task<> run_transport_suite(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report) {
  using namespace transport_suite;
  Task<> (*const parts[])(Stage&) = {
      check_messages, check_payloads,         check_loans,      check_bulk,    check_keys,
      check_reclaim,  check_many_outstanding, check_connecting, check_closing, check_stopping};
  std::uint64_t part_seed = seed;
  for (Task<> (*part)(Stage&) : parts) {
    part_seed += 0x1000;
    co_await run_part(runtime, factory, part_seed, report, part);
  }
  report.finish();
}

}  // namespace rideau
