// SPDX-License-Identifier: Apache-2.0
// TcpFactory: instances of transports/tcp.
#pragma once

#include "tests/conformance/transport_factory.hpp"
#include "transports/tcp/descriptor.hpp"

namespace rideau {

class TcpFactory final : public LinkedTransportFactory {
 public:
  explicit TcpFactory(Host& host, Settings settings = {}, std::string address = "127.0.0.1:0")
      : LinkedTransportFactory(tcp::kDescriptor, host, std::move(settings), std::move(address)) {}
};

}  // namespace rideau
