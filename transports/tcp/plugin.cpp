// SPDX-License-Identifier: Apache-2.0
// What the host sees of this driver: its name, its configuration keys, how an instance is made. README.md explains
// them.
#include "descriptor.hpp"
#include "rideau/sdk.hpp"
#include "transport.hpp"

#include <algorithm>
#include <iterator>
#include <new>
#include <string>
#include <utility>

namespace rideau::tcp {
namespace {

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;

enum Key : std::uint32_t {
  kEagerBytes,
  kHeadBytes,
  kChunkBytes,
  kHoldBytes,
  kQueueBytes,
  kLinksMax,
  kSendBuffer,
  kReceiveBuffer,
  kKeepalive,
  kConnectTimeout,
  kLocal,
  kConnections,
  kCertificate,
  kKey,
  kAuthority,
};

const ConfigKey kKeys[] = {
    {"eager_bytes", KeyType::size, "bytes", "64 KiB", 0, 4 * kMiB, false,
     "largest payload that rides in a message; larger ones go as bulk"},
    {"head_bytes", KeyType::size, "bytes", "1 MiB", 4 * kKiB, 16 * kMiB, false, "largest head of a message"},
    {"chunk_bytes", KeyType::size, "bytes", "256 KiB", 16 * kKiB, 4 * kMiB, false,
     "how much is read from a socket at a time"},
    {"hold_bytes", KeyType::size, "bytes", "8 MiB", kMiB, 1024 * kMiB, false,
     "receive memory of one link; over it, reading rests until messages are given back"},
    {"queue_bytes", KeyType::size, "bytes", "1 MiB", 64 * kKiB, 256 * kMiB, false,
     "copies of small messages that wait on one link; beyond it a send waits for the socket"},
    {"links_max", KeyType::integer, "", "4096", 1, 1'000'000, false, "links of one instance"},
    {"send_buffer", KeyType::size, "bytes", "0", 0, 1024 * kMiB, false, "SO_SNDBUF; 0: the system decides"},
    {"receive_buffer", KeyType::size, "bytes", "0", 0, 1024 * kMiB, false, "SO_RCVBUF; 0: the system decides"},
    {"keepalive", KeyType::duration, "ms", "10 s", 0, 86'400'000, false,
     "a silent peer is probed after this time and given up after twice as long; 0: never"},
    {"connect_timeout", KeyType::duration, "ms", "5 s", 1, 600'000, false, "how long connecting may take"},
    {"local", KeyType::boolean, "", "true", 0, 0, false,
     "between processes of this machine: Unix sockets, and memory that both see; false: TCP for all"},
    {"connections", KeyType::integer, "", "1", 1, kConnectionsMax, false,
     "TCP connections of one link, at most; beside the first they carry regions of 64 KiB and more"},
    {"certificate", KeyType::path, "", "", 0, 0, false,
     "PEM file with the certificate of this node for TLS 1.3; without it nothing is encrypted"},
    {"key", KeyType::path, "", "", 0, 0, false, "PEM file with its secret key, for its owner alone to read"},
    {"authority", KeyType::path, "", "", 0, 0, false,
     "PEM file with the authority whose certificates peers have to show"},
};

constexpr long kWarnSeconds = 30 * 86'400;

void tell_end(Host& host, const TlsKeys& tls) {
  const bool soon = tls.seconds_left() < kWarnSeconds;
  const std::string line = "tcp: the certificate of this node ends at " + tls.end_date();
  host.log(soon ? Level::warning : Level::debug,
           Text(soon ? line + ": make a new one with `rideau keys node`, and restart" : line));
}

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  Config config;
  config.eager_bytes = static_cast<std::uint32_t>(values[kEagerBytes].integer);
  config.head_bytes = static_cast<std::uint32_t>(values[kHeadBytes].integer);
  config.chunk_bytes = padded(static_cast<std::uint64_t>(values[kChunkBytes].integer));
  // At least what lets a link take the largest head while loans hold half of the budget.
  const std::uint64_t least = 4 * (config.chunk_bytes + config.head_bytes);
  config.hold_bytes = std::max(least, static_cast<std::uint64_t>(values[kHoldBytes].integer));
  config.queue_bytes = static_cast<std::uint64_t>(values[kQueueBytes].integer);
  config.links_max = static_cast<std::uint32_t>(values[kLinksMax].integer);
  config.socket.send_buffer = values[kSendBuffer].integer;
  config.socket.receive_buffer = values[kReceiveBuffer].integer;
  config.socket.keepalive_ms = values[kKeepalive].integer;
  config.connect_timeout_ns = static_cast<std::uint64_t>(values[kConnectTimeout].integer) * 1'000'000;
  config.local = values[kLocal].integer != 0;
  config.connections = static_cast<std::uint32_t>(values[kConnections].integer);
  const auto text = [values](Key key) { return std::string(values[key].text.view()); };
  const TlsFiles files{text(kCertificate), text(kKey), text(kAuthority)};
  std::unique_ptr<TlsKeys> tls;
  if (!files.none()) {
    std::string problem;
    tls = TlsKeys::read(files, &problem);
    if (tls == nullptr) {
      host.log(Level::error, Text("tcp: " + problem));
      return {Code::invalid, 0, "keys for encryption"};
    }
    tell_end(host, *tls);
  }
  auto* transport = new (std::nothrow) TcpTransport(host, config, std::move(tls));
  if (transport == nullptr) return {Code::busy, 0, "no memory for the transport"};
  *out = transport;
  return kOk;
}

}  // namespace

const PluginDescriptor kDescriptor = {
    .kind = PluginKind::transport,
    .name = "tcp",
    .version = "0.1.0",
    .summary = "links over TCP; bulk goes straight between sockets and lent memory",
    .capabilities = kTransportStreams,
    .keys = kKeys,
    .key_count = static_cast<std::uint32_t>(std::size(kKeys)),
    .create = &create,
};

}  // namespace rideau::tcp

RIDEAU_PLUGIN(rideau::PluginKind::transport, rideau::tcp::kDescriptor);
