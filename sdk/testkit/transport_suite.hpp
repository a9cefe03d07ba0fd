// SPDX-License-Identifier: Apache-2.0
// The conformance suite of Transport: every implementation passes the same rules, from the same seed.
//
// The suite makes several instances at once and links them with each other. All of them run on `runtime`. Its second
// half disturbs them in two ways: through the host of an instance (HostGate), which works for every transport, and
// through a relay between two (sdk/testkit/relay.hpp), which needs links that pass over streams.
#pragma once

#include "framework/runtime/lendable_memory.hpp"
#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"
#include "rideau/transport.hpp"
#include "sdk/testkit/factory.hpp"
#include "sdk/testkit/host_gate.hpp"
#include "sdk/testkit/report.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace rideau {

// Memory that instances are offered, and where the suite takes what it lends from. Null: there is none.
struct OfferedMemory {
  LendableMemory* source = nullptr;
  SharedMemory* shared = nullptr;
};

struct GatedTransport {
  Transport* transport = nullptr;
  HostGate* gate = nullptr;  // of the factory; through which the host of the instance is reached
};

// How the relay of the kit gets between two instances.
struct RelayPlaces {
  std::string listen;   // where it listens; port 0: any
  std::string target;   // what it connects to
  std::string address;  // of the link, for connect(); empty: where it listens
};

class TransportFactory : public Factory<Transport> {
 public:
  // As make(), behind a gate.
  virtual Result<GatedTransport> make_gated() = 0;
  // Between a link to this address of a listener. Empty: its links do not pass over streams, for the reason in *why.
  virtual std::optional<RelayPlaces> relay_places(const std::string& address, std::string* why) const;
  // Whether with these settings bytes that were changed on the way are told from those that were sent.
  virtual bool seals() const { return false; }
  // How long the suite waits for what must happen, about.
  virtual std::uint64_t patience_ns() const { return 20 * kSecond; }
  // Where listeners of the suite listen; each time the transport picks a place of its own ("127.0.0.1:0").
  virtual std::string listen_address() const = 0;
  virtual OfferedMemory memory() { return {}; }
};

Task<> run_transport_suite(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report);
Task<> run_transport_faults(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report);

}  // namespace rideau
