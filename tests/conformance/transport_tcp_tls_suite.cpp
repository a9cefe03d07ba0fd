// SPDX-License-Identifier: Apache-2.0
// Goal: transports/tcp keeps the contract of Transport over TLS too: as it comes, with limits so small that every queue
// and every budget is met, over version 6 addresses, and where processes of one machine need no TLS.
#include "framework/runtime/real_runtime.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_tcp.hpp"
#include "tests/conformance/transport_tcp_keys.hpp"

#include <cstdio>

namespace rideau {
namespace {

using Settings = std::map<std::string, std::int64_t>;

void run_suite(std::uint64_t seed, const Settings& settings, const std::string& address) {
  KeyFolder keys;
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host, settings, address, keys.make("node"));
  Report report(stdout);
  runtime.run(run_transport_suite(runtime, factory, seed, report));
  CHECK(report.exit_status() == 0);
  CHECK(report.count(Verdict::unsupported) == 0);
  const std::string log = host.take_log();
  INFO(log);
  CHECK(log.find("refused") == std::string::npos);
  CHECK(log.find("closed") == std::string::npos);
}

}  // namespace

TEST_CASE("the transport suite passes over TLS") { run_suite(1, {{"local", 0}}, "127.0.0.1:0"); }

TEST_CASE("the transport suite passes over TLS with small limits") {
  const Settings small = {{"chunk_bytes", 16384}, {"hold_bytes", 1 << 20},  {"head_bytes", 65536},
                          {"queue_bytes", 65536}, {"eager_bytes", 20000},   {"send_buffer", 16384},
                          {"local", 0},           {"receive_buffer", 16384}};
  run_suite(2, small, "127.0.0.1:0");
}

TEST_CASE("the transport suite passes over TLS with several connections") {
  run_suite(5, {{"local", 0}, {"connections", 2}}, "127.0.0.1:0");
}

TEST_CASE("the transport suite passes over TLS and TCP version 6") { run_suite(3, {{"local", 0}}, "[::1]:0"); }

TEST_CASE("the transport suite passes within this machine, where there are keys") { run_suite(4, {}, "127.0.0.1:0"); }

}  // namespace rideau
