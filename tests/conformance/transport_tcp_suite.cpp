// SPDX-License-Identifier: Apache-2.0
// Goal: transports/tcp keeps the contract of Transport: as it comes, with limits so small that every queue and every
// budget is met, and over version 6 addresses.
#include "framework/runtime/real_runtime.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_tcp.hpp"

#include <catch2/catch.hpp>

#include <cstdio>

namespace rideau {
namespace {

using Settings = std::map<std::string, std::int64_t>;

void run_suite(std::uint64_t seed, const Settings& settings, const std::string& address) {
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host, settings, address);
  Report report(stdout);
  runtime.run(run_transport_suite(runtime, factory, seed, report));
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
  CHECK(host.take_log() == "");
}

}  // namespace

TEST_CASE("the transport suite passes over TCP") { run_suite(1, {{"local", 0}}, "127.0.0.1:0"); }

TEST_CASE("the transport suite passes with small limits") {
  Settings small = {{"chunk_bytes", 16384}, {"hold_bytes", 1 << 20}, {"head_bytes", 65536}, {"queue_bytes", 65536},
                    {"eager_bytes", 20000}, {"send_buffer", 16384},  {"local", 0},          {"receive_buffer", 16384}};
  run_suite(2, small, "127.0.0.1:0");
  small["local"] = 1;
  run_suite(2, small, "127.0.0.1:0");
}

TEST_CASE("the transport suite passes over TCP version 6") { run_suite(3, {{"local", 0}}, "[::1]:0"); }

TEST_CASE("the transport suite passes with several connections") {
  run_suite(6, {{"local", 0}, {"connections", 2}}, "127.0.0.1:0");
  run_suite(7,
            {{"local", 0},
             {"connections", 4},
             {"chunk_bytes", 16384},
             {"hold_bytes", 1 << 20},
             {"head_bytes", 65536},
             {"queue_bytes", 65536},
             {"send_buffer", 16384},
             {"receive_buffer", 16384}},
            "127.0.0.1:0");
}

TEST_CASE("the transport suite passes within this machine") {
  run_suite(4, {}, "127.0.0.1:0");
  run_suite(5, {}, "[::1]:0");
}

}  // namespace rideau
