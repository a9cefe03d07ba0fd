// SPDX-License-Identifier: Apache-2.0
// Goal: links of transports/tcp that are cut at any byte, slow, stopped or damaged, and peers that stop or die, harm
// nothing beside themselves: over TCP, over the sockets of one machine, and over TLS, which also notices all damage.
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/transport_faults.hpp"
#include "tests/conformance/transport_tcp.hpp"
#include "tests/conformance/transport_tcp_keys.hpp"

namespace rideau {

TEST_CASE("faults over TCP") {
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host, {{"local", 0}});
  run_faults(runtime, factory, 1, 1);
}

TEST_CASE("faults over TCP with several connections") {
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host, {{"local", 0}, {"connections", 3}});
  run_faults(runtime, factory, 4, 1);
}

TEST_CASE("faults within this machine") {
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host);
  factory.relay_within_machine();
  run_faults(runtime, factory, 2, 1);
}

TEST_CASE("faults over TLS") {
  KeyFolder keys;
  RealRuntime runtime;
  TestHost host(runtime);
  TcpFactory factory(host, {{"local", 0}}, "127.0.0.1:0", keys.make("node"));
  factory.set_seals();
  run_faults(runtime, factory, 3, 0);
}

}  // namespace rideau
