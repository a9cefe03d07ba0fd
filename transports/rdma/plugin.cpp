// SPDX-License-Identifier: Apache-2.0
// What the host sees of this driver: its name, its configuration keys, how an instance is made. README.md explains
// them.
#include "descriptor.hpp"
#include "rideau/sdk.hpp"
#include "transport.hpp"

#include <iterator>
#include <new>
#include <string_view>

namespace rideau::rdma {
namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;
constexpr std::uint64_t kNsPerMs = 1'000'000;

enum Key : std::uint32_t {
  kProvider,
  kRegistration,
  kEagerBytes,
  kHeadBytes,
  kHoldBytes,
  kWindow,
  kLinksMax,
  kKeepalive,
  kConnectTimeout,
  kCutAfter,
  kPollMicroseconds,
  kBusyPoll,
};

const ConfigKey kKeys[] = {
    {"provider", KeyType::text, "", "tcp;ofi_rxm", 0, 0, false,
     "libfabric's provider: verbs on hardware; tcp;ofi_rxm and shm run anywhere"},
    {"registration", KeyType::text, "", "auto", 0, 0, false,
     "memory-registration bits that are offered: auto (all that the provider wants), none, basic"},
    {"eager_bytes", KeyType::size, "bytes", "8 KiB", 0, kMiB, false,
     "largest payload that rides in a message, copied; larger ones are read and written remotely"},
    {"head_bytes", KeyType::size, "bytes", "1 MiB", 4 * kKiB, 16 * kMiB, false, "largest head of a message"},
    {"hold_bytes", KeyType::size, "bytes", "8 MiB", kMiB, 1024 * kMiB, false,
     "heads of one link that wait to be given back; beyond it, the peer has to wait"},
    {"window", KeyType::integer, "", "64", 4, 1024, false,
     "frames of 16 KiB that may be under way on one link and direction"},
    {"links_max", KeyType::integer, "", "4096", 1, 1'000'000, false, "links of one instance"},
    {"keepalive", KeyType::duration, "ms", "1 s", 0, 86'400'000, false,
     "an idle link says a word this often, and is given up after three times as long in silence; 0: never"},
    {"connect_timeout", KeyType::duration, "ms", "5 s", 1, 600'000, false, "how long connecting may take"},
    {"cut_after", KeyType::duration, "ms", "3 s", 10, 600'000, false,
     "how long a lost peer may keep memory before the endpoint is closed to cut it off"},
    {"poll_microseconds", KeyType::integer, "", "50", 1, 100'000, false,
     "pause between polls of an idle provider that cannot be waited for"},
    {"busy_poll", KeyType::boolean, "", "false", 0, 0, false, "poll without a pause; takes a processor for itself"},
};

bool registration_of(std::string_view text, Registration* out) noexcept {
  if (text == "auto") return *out = Registration::automatic, true;
  if (text == "none") return *out = Registration::none, true;
  if (text == "basic") return *out = Registration::basic, true;
  return false;
}

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  Config config;
  config.fabric.provider = values[kProvider].text.view();
  if (!registration_of(values[kRegistration].text.view(), &config.fabric.registration)) {
    host.log(Level::error, "rdma: registration is auto, none or basic");
    return {Code::invalid, 0, "registration is auto, none or basic"};
  }
  config.eager_bytes = static_cast<std::uint32_t>(values[kEagerBytes].integer);
  config.head_bytes = static_cast<std::uint32_t>(values[kHeadBytes].integer);
  config.hold_bytes = static_cast<std::uint64_t>(values[kHoldBytes].integer);
  config.window = static_cast<std::uint32_t>(values[kWindow].integer);
  config.links_max = static_cast<std::uint32_t>(values[kLinksMax].integer);
  config.keepalive_ns = static_cast<std::uint64_t>(values[kKeepalive].integer) * kNsPerMs;
  config.connect_timeout_ns = static_cast<std::uint64_t>(values[kConnectTimeout].integer) * kNsPerMs;
  config.cut_after_ns = static_cast<std::uint64_t>(values[kCutAfter].integer) * kNsPerMs;
  config.poll_ns = static_cast<std::uint64_t>(values[kPollMicroseconds].integer) * 1000;
  config.busy_poll = values[kBusyPoll].integer != 0;
  auto* transport = new (std::nothrow) RdmaTransport(host, std::move(config));
  if (transport == nullptr) return {Code::busy, 0, "no memory for the transport"};
  *out = transport;
  return kOk;
}

}  // namespace

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::transport,
    .name = "rdma",
    .version = "0.1.0",
    .summary = "links over libfabric; bulk goes by remote reads and writes between lent memory",
    .capabilities = kTransportRemoteAccess,
    .keys = kKeys,
    .key_count = static_cast<std::uint32_t>(std::size(kKeys)),
    .create = &create,
};

}  // namespace rideau::rdma

RIDEAU_PLUGIN(rideau::PluginKind::transport, rideau::rdma::kDescriptor);
