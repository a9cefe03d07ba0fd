// SPDX-License-Identifier: Apache-2.0
// The second half of the transport suite over a linked transport.
#pragma once

#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/transport_suite.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

namespace rideau {

// `not_applicable`: how many rules say so.
inline void run_faults(RealRuntime& runtime, TransportFactory& factory, std::uint64_t seed,
                       std::size_t not_applicable) {
  Report report;
  runtime.run(run_transport_faults(runtime, factory, seed, report));
  report.print(stdout);
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == not_applicable);
}

}  // namespace rideau
