// SPDX-License-Identifier: Apache-2.0
// The instance: listeners, connections being made, links, and the memory they share.
#pragma once

#include "callback.hpp"
#include "chunk.hpp"
#include "limits.hpp"
#include "rideau/sdk.hpp"
#include "send_queue.hpp"
#include "socket.hpp"
#include "tls_keys.hpp"

#include <cstdarg>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rideau::tcp {

class Acceptor;
class Bundle;
class Connector;
class Listener;
class TcpLink;
class TlsSession;
struct BundleHead;
struct PeerInfo;

struct Config {
  std::uint32_t eager_bytes = 0;
  std::uint32_t head_bytes = 0;
  std::uint64_t chunk_bytes = 0;
  std::uint64_t hold_bytes = 0;   // of receive memory of one link
  std::uint64_t queue_bytes = 0;  // of copied frames that wait on one link
  std::uint32_t links_max = 0;
  SocketOptions socket{};
  std::uint64_t connect_timeout_ns = 0;
  bool local = true;              // Unix sockets within this machine
  std::uint32_t connections = 1;  // of one link, at most
};

class TcpTransport final : public Transport {
 public:
  // Without keys nothing is encrypted.
  TcpTransport(Host& host, const Config& config, std::unique_ptr<TlsKeys> tls);

  Submitted start(Completion& done) noexcept override;
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;
  TransportLimits limits() const noexcept override;
  Status listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept override;
  Submitted connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept override;
  bool offer(SharedMemory& memory) noexcept override;

  // For the parts of this driver.
  Host& host() noexcept { return host_; }
  const Config& config() const noexcept { return config_; }
  ChunkPool& chunks() noexcept { return chunks_; }
  const TlsKeys* tls() const noexcept { return tls_.get(); }
  SharedMemory* offered() noexcept { return offered_; }
  void on_cut() noexcept;  // after SharedMemory::cut_off
  MutableBytes drain() noexcept { return MutableBytes(drain_.get(), kDrainBytes); }
  std::uint64_t token() noexcept;  // never guessable, never 0
  LentFrame* take_frame();
  void put_frame(LentFrame* frame) noexcept;
  // Null when the instance has all the links it may have; closes the descriptor then.
  TcpLink* add_link(int fd, PeerInfo peer, std::unique_ptr<TlsSession> tls);
  void remove_link(TcpLink& link) noexcept;
  // One that came over a network: a link, or one of several connections of one.
  void begin_accepted(TcpLink& link, LinkEvents& listener) noexcept;
  Bundle& add_bundle(Connector& connector, LinkEvents& events);
  Connector& add_lane_connector(Bundle& bundle, std::uint32_t lane);
  // False: it is no connection of a link that is there, or begins.
  bool join_bundle(TcpLink& link, const BundleHead& head, LinkEvents& listener);
  void remove_bundle(Bundle& bundle) noexcept;
  // An accepted connection, which becomes a link when its handshake is done.
  void accept_tls(int fd, PeerInfo peer, LinkEvents& events);
  void remove_acceptor(Acceptor& acceptor) noexcept;
  void remove_connector(Connector& connector) noexcept;
  void check_stopped() noexcept;
  void log(Level level, const char* format, ...) noexcept __attribute__((format(printf, 3, 4)));
  // A warning that strangers can cause: only so many of them in a time.
  void log_refusal(const char* format, ...) noexcept __attribute__((format(printf, 2, 3)));

 private:
  static constexpr std::size_t kDrainBytes = 64 << 10;
  static constexpr std::uint32_t kFreeFramesKept = 256;

  ~TcpTransport();
  bool quiet() const noexcept;

  void listen_local(const Address& bound, LinkEvents& events) noexcept;
  void log_line(Level level, const char* format, std::va_list arguments) noexcept;

  Host& host_;
  const Config config_;
  const std::unique_ptr<TlsKeys> tls_;
  SharedMemory* offered_ = nullptr;
  ChunkPool chunks_;
  std::unique_ptr<std::uint8_t[]> drain_;  // where bytes go that nobody wants
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<Connector*> connectors_;
  std::vector<Acceptor*> acceptors_;  // oldest first
  std::vector<TcpLink*> links_;
  std::vector<Bundle*> bundles_;
  Completion* stopping_ = nullptr;
  bool stopped_ = false;
  bool destroying_ = false;
  std::uint64_t tokens_[32] = {};
  std::uint32_t tokens_left_ = 0;
  LentFrame* free_frames_ = nullptr;
  std::uint32_t free_frame_count_ = 0;
  std::uint64_t refusals_since_ns_ = 0;
  std::uint32_t refusals_logged_ = 0;  // since then
  std::uint64_t refusals_kept_back_ = 0;
};

}  // namespace rideau::tcp
