// SPDX-License-Identifier: Apache-2.0
// One accepted connection until its handshake of TLS is done and it becomes a link; nobody above hears of one that
// fails. Frees itself when it has ended and nothing of it is pending.
#pragma once

#include "callback.hpp"
#include "handshake.hpp"
#include "link.hpp"
#include "rideau/transport.hpp"

namespace rideau::tcp {

class Acceptor final : private HandshakeOwner {
 public:
  Acceptor(TcpTransport& transport, int fd, PeerInfo peer, LinkEvents& events) noexcept;
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;
  ~Acceptor();

  void begin(std::unique_ptr<TlsSession> session) noexcept;
  // Gives up; `why` goes to the log. Null: nothing does.
  void end(const char* why) noexcept;
  bool ended() const noexcept { return fd_ < 0; }

 private:
  void on_handshake(Status status) noexcept override;
  void on_handshake_quiet() noexcept override { check_gone(); }
  void on_deadline() noexcept;
  void check_gone() noexcept;

  TcpTransport& transport_;
  int fd_;
  PeerInfo peer_;
  LinkEvents& events_;
  bool begun_ = false;
  Handshake handshake_{transport_, *this};
  Callback<Acceptor, &Acceptor::on_deadline> deadline_{*this};
};

}  // namespace rideau::tcp
