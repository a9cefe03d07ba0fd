// SPDX-License-Identifier: Apache-2.0
// What the host sees of the plugin: its configuration keys, how an instance is made, and the descriptor.
#include "transport.hpp"

#include <new>

namespace minimal {
namespace {

enum Key : std::uint32_t { kConnectTimeout, kKeyCount };

constexpr rideau::ConfigKey kKeys[kKeyCount] = {
    {.name = "connect_timeout",
     .type = rideau::KeyType::duration,
     .unit = "ms",
     .default_value = "5 s",
     .minimum = 1,
     .maximum = 600'000,
     .help = "how long connecting may take"},
};

rideau::Status create(rideau::Host& host, const rideau::ConfigValue* values, rideau::Instance** out) noexcept {
  const auto timeout_ns = static_cast<std::uint64_t>(values[kConnectTimeout].integer) * 1'000'000;
  auto* transport = new (std::nothrow) MinimalTransport(host, timeout_ns);
  if (transport == nullptr) return {rideau::Code::busy, 0, "create"};
  *out = transport;
  return rideau::kOk;
}

}  // namespace

extern const rideau::PluginDescriptor kDescriptor;
const rideau::PluginDescriptor kDescriptor = {
    .kind = rideau::PluginKind::transport,
    .name = "minimal-transport",
    .version = "0.1.0",
    .summary = "links over TCP; everything is copied once on each side",
    .capabilities = rideau::kTransportCopies | rideau::kTransportStreams,
    .keys = kKeys,
    .key_count = kKeyCount,
    .create = create,
};

}  // namespace minimal

RIDEAU_PLUGIN(rideau::PluginKind::transport, minimal::kDescriptor);
