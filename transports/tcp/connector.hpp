// SPDX-License-Identifier: Apache-2.0
// One connection being made: resolves the name (away from the node's thread unless it is numeric), tries the addresses
// in turn, each within this machine first, does the handshake where there is TLS, gives up at the deadline. Frees
// itself when it has ended and nothing of it is pending.
#pragma once

#include "callback.hpp"
#include "handshake.hpp"
#include "rideau/transport.hpp"
#include "socket.hpp"

#include <vector>

namespace rideau::tcp {

class Bundle;
class TcpTransport;

class Connector final : public Pending, private HandshakeOwner {
 public:
  Connector(TcpTransport& transport, LinkEvents& events, Link** out, Completion& done) noexcept;
  // One more connection of a link.
  Connector(TcpTransport& transport, Bundle& lane_of, std::uint32_t lane) noexcept;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;
  ~Connector();

  void begin(const HostPort& name);
  void begin_lane(const HostPort& name, const Address& address);
  // The link that the first connection became, alone or with others.
  void bundle_ready(Link& link) noexcept;
  void end(Status status) noexcept;
  void cancel() noexcept override;
  bool quiet() const noexcept {
    return !resolved_.pending && !writable_.pending && !deadline_.pending && handshake_.quiet();
  }

 private:
  struct ResolveJob : Job {
    HostPort name;
    std::vector<Address> addresses;
  };

  void set_deadline();
  void on_resolved() noexcept;
  void on_writable() noexcept;
  void on_deadline() noexcept;
  void try_next() noexcept;
  void connected() noexcept;
  void on_handshake(Status status) noexcept override;
  void on_handshake_quiet() noexcept override { check_gone(); }
  void add_link(bool local) noexcept;
  void drop_socket() noexcept;
  void check_gone() noexcept;

  TcpTransport& transport_;
  LinkEvents* events_ = nullptr;  // null: of a lane
  Link** out_ = nullptr;
  Completion* done_;
  Completion lane_done_;
  Bundle* lane_of_ = nullptr;
  std::uint32_t lane_ = 0;
  Bundle* bundle_ = nullptr;  // that the connection became the first of
  ResolveJob job_;
  std::size_t next_address_ = 0;
  int fd_ = -1;
  Status last_{Code::not_found, 0, "connect"};
  Handshake handshake_{transport_, *this};
  Callback<Connector, &Connector::on_resolved> resolved_{*this};
  Callback<Connector, &Connector::on_writable> writable_{*this};
  Callback<Connector, &Connector::on_deadline> deadline_{*this};
};

}  // namespace rideau::tcp
