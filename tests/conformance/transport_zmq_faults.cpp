// SPDX-License-Identifier: Apache-2.0
// Goal: links of transports/zmq that are cut at any byte, slow, stopped or damaged, and peers that stop or die, harm
// nothing beside themselves: over TCP, over a socket of one machine, and with CURVE, which also notices all damage.
#include "tests/conformance/transport_faults.hpp"
#include "tests/conformance/transport_zmq.hpp"

namespace rideau {

TEST_CASE("faults over ZeroMQ") {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "127.0.0.1:0");
  run_faults(runtime, factory, 5, 1);
}

TEST_CASE("faults over ZeroMQ with encryption") {
  CurveFolder keys;
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "127.0.0.1:0", {{"key_file", keys.make("shared")}});
  factory.set_seals();
  run_faults(runtime, factory, 6, 0);
}

TEST_CASE("faults over a ZeroMQ socket of this machine") {
  RealRuntime runtime;
  TestHost host(runtime);
  LinkedTransportFactory factory(zeromq::kDescriptor, host, {}, "ipc://*");
  run_faults(runtime, factory, 7, 1);
}

}  // namespace rideau
