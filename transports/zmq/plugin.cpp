// SPDX-License-Identifier: Apache-2.0
// What the host sees of this driver: its name, its configuration keys, how an instance is made. README.md explains
// them.
#include "descriptor.hpp"
#include "rideau/sdk.hpp"
#include "transport.hpp"

#include <algorithm>
#include <iterator>

namespace rideau::zeromq {
namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;

enum Key : std::uint32_t {
  kEagerBytes,
  kHeadBytes,
  kHoldBytes,
  kHighWaterMark,
  kLinksMax,
  kHeartbeat,
  kConnectTimeout,
  kKeyFile,
  kServerKey,
  kAllowedKeys,
};

const ConfigKey kKeys[] = {
    {"eager_bytes", KeyType::size, "bytes", "64 KiB", 0, 4 * kMiB, false,
     "largest payload that rides in a message; larger ones go as bulk"},
    {"head_bytes", KeyType::size, "bytes", "1 MiB", 4 * kKiB, 16 * kMiB, false, "largest head of a message"},
    {"hold_bytes", KeyType::size, "bytes", "8 MiB", kMiB, 1024 * kMiB, false,
     "what may be on its way to one link or held by its host; over it, the peer waits"},
    {"high_water_mark", KeyType::integer, "", "8192", 64, 1'000'000, false,
     "frames, likewise; ZeroMQ's own marks are set a little above"},
    {"links_max", KeyType::integer, "", "4096", 1, 1'000'000, false, "links of one instance"},
    {"heartbeat", KeyType::duration, "ms", "10 s", 0, 3'600'000, false,
     "a silent peer is probed after this time, whole seconds, and given up after twice as long; 0: never"},
    {"connect_timeout", KeyType::duration, "ms", "5 s", 1, 600'000, false, "how long connecting may take"},
    {"key_file", KeyType::path, "", "", 0, 0, false,
     "secret CURVE key of this node on the first line; without it nothing is encrypted"},
    {"server_key", KeyType::text, "", "", 0, 0, false,
     "public key of the servers; without it that of the key file: all nodes share one"},
    {"allowed_keys", KeyType::text, "", "", 0, 0, false,
     "public keys of those who may connect, between spaces; without it that of the key file"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  try {
    Config config;
    config.eager_bytes = static_cast<std::uint32_t>(values[kEagerBytes].integer);
    config.head_bytes = static_cast<std::uint32_t>(values[kHeadBytes].integer);
    config.high_water_mark = static_cast<std::uint32_t>(values[kHighWaterMark].integer);
    // At least what lets the largest message pass while others are held.
    const std::uint64_t largest = sizeof(FrameHeader) + config.head_bytes + std::max(config.eager_bytes, kPieceBytes);
    config.window = std::max<std::uint64_t>(4 * largest, static_cast<std::uint64_t>(values[kHoldBytes].integer));
    config.links_max = static_cast<std::uint32_t>(values[kLinksMax].integer);
    config.heartbeat_ms = values[kHeartbeat].integer;
    config.connect_timeout_ns = static_cast<std::uint64_t>(values[kConnectTimeout].integer) * 1'000'000;
    const auto text = [values](Key key) { return std::string(values[key].text.view()); };
    std::string problem;
    const Status keys = read_keys(text(kKeyFile), text(kServerKey), text(kAllowedKeys), &config.keys, &problem);
    if (!keys.ok()) {
      host.log(Level::error, Text("zmq: " + problem));
      return keys;
    }
    *out = new ZmqTransport(host, std::move(config));
    return kOk;
  } catch (const zmq::error_t& error) {
    return {Code::io_error, error.num(), "make a ZeroMQ context"};
  } catch (const std::bad_alloc&) {
    return {Code::busy, 0, "no memory for the transport"};
  }
}

}  // namespace

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::transport,
    .name = "zmq",
    .version = "0.1.0",
    .summary = "links over ZeroMQ: TCP or sockets of one machine, with CURVE encryption",
    .capabilities = kTransportCopies | kTransportStreams,
    .keys = kKeys,
    .key_count = static_cast<std::uint32_t>(std::size(kKeys)),
    .create = &create,
};

}  // namespace rideau::zeromq

RIDEAU_PLUGIN(rideau::PluginKind::transport, rideau::zeromq::kDescriptor);
