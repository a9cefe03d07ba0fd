// SPDX-License-Identifier: Apache-2.0
// What the host sees of this driver: its name, its configuration keys, how an instance is made. README.md explains
// them.
#include "descriptor.hpp"
#include "rideau/sdk.hpp"
#include "transport.hpp"

#include <iterator>
#include <new>

namespace rideau::inproc {
namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;

enum Key : std::uint32_t { kEagerBytes, kHeadBytes, kHoldBytes, kLinksMax };

const ConfigKey kKeys[] = {
    {"eager_bytes", KeyType::size, "bytes", "64 KiB", 0, 4 * kMiB, false,
     "largest payload that rides in a message; larger ones go as bulk"},
    {"head_bytes", KeyType::size, "bytes", "1 MiB", 4 * kKiB, 16 * kMiB, false, "largest head of a message"},
    {"hold_bytes", KeyType::size, "bytes", "8 MiB", kMiB, 1024 * kMiB, false,
     "messages that one link holds; over it, sends wait until messages are given back"},
    {"links_max", KeyType::integer, "", "4096", 1, 1'000'000, false, "links of one instance"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  Config config;
  config.eager_bytes = static_cast<std::uint32_t>(values[kEagerBytes].integer);
  config.head_bytes = static_cast<std::uint32_t>(values[kHeadBytes].integer);
  config.hold_bytes = static_cast<std::uint64_t>(values[kHoldBytes].integer);
  config.links_max = static_cast<std::uint32_t>(values[kLinksMax].integer);
  auto* transport = new (std::nothrow) InprocTransport(host, config);
  if (transport == nullptr) return {Code::busy, 0, "no memory for the transport"};
  *out = transport;
  return kOk;
}

}  // namespace

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::transport,
    .name = "inproc",
    .version = "0.1.0",
    .summary = "links within one process; bulk is one copy from lent memory to lent memory",
    .capabilities = kTransportRemoteAccess,
    .keys = kKeys,
    .key_count = static_cast<std::uint32_t>(std::size(kKeys)),
    .create = &create,
};

}  // namespace rideau::inproc

RIDEAU_PLUGIN(rideau::PluginKind::transport, rideau::inproc::kDescriptor);
