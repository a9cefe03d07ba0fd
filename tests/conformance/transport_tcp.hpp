// SPDX-License-Identifier: Apache-2.0
// TcpFactory: instances of transports/tcp.
#pragma once

#include "framework/runtime/real_shared_memory.hpp"
#include "tests/conformance/transport_factory.hpp"
#include "transports/tcp/descriptor.hpp"

namespace rideau {

class TcpFactory final : public LinkedTransportFactory {
 public:
  explicit TcpFactory(Host& host, Settings settings = {}, std::string address = "127.0.0.1:0", Texts texts = {})
      : LinkedTransportFactory(tcp::kDescriptor, host, settings, std::move(address), std::move(texts)),
        local_(settings.count("local") == 0 || settings["local"] != 0) {}

  // Without `local` what is lent lies in memory that a sanitizer watches.
  OfferedMemory memory() override {
    return local_ && memory_.usable() ? OfferedMemory{&memory_, &memory_} : OfferedMemory{};
  }

 private:
  const bool local_;
  RealSharedMemory memory_;
};

}  // namespace rideau
