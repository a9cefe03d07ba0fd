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

  // From now on a relay stands between Unix sockets instead of TCP: on their names, see transports/tcp/README.md.
  void relay_within_machine() noexcept { relays_unix_ = true; }
  std::optional<RelayPlaces> relay_places(const std::string& address, std::string* why) const override {
    if (!relays_unix_) return LinkedTransportFactory::relay_places(address, why);
    // The same port of another address of this machine: nobody else listens there.
    const std::string before = "127.0.0.2" + address.substr(address.rfind(':'));
    return RelayPlaces{"@rideau-tcp/" + before, "@rideau-tcp/" + address, before};
  }

 private:
  const bool local_;
  bool relays_unix_ = false;
  RealSharedMemory memory_;
};

}  // namespace rideau
