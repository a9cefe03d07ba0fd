// SPDX-License-Identifier: Apache-2.0
// The conformance suite of Transport: every implementation passes the same rules, from the same seed.
//
// The suite makes several instances at once and links them with each other. All of them run on `runtime`.
#pragma once

#include "framework/runtime/lendable_memory.hpp"
#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"
#include "rideau/transport.hpp"
#include "sdk/testkit/factory.hpp"
#include "sdk/testkit/report.hpp"

#include <cstdint>
#include <string>

namespace rideau {

// Memory that instances are offered, and where the suite takes what it lends from. Null: there is none.
struct OfferedMemory {
  LendableMemory* source = nullptr;
  SharedMemory* shared = nullptr;
};

class TransportFactory : public Factory<Transport> {
 public:
  // Where listeners of the suite listen; each time the transport picks a place of its own ("127.0.0.1:0").
  virtual std::string listen_address() const = 0;
  virtual OfferedMemory memory() { return {}; }
};

Task<> run_transport_suite(Runtime& runtime, TransportFactory& factory, std::uint64_t seed, Report& report);

}  // namespace rideau
