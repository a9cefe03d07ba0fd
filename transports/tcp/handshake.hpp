// SPDX-License-Identifier: Apache-2.0
// The handshake of TLS on a new connection: waits for the socket between the steps. Part of who has the connection, who
// also has the deadline.
#pragma once

#include "callback.hpp"
#include "rideau/status.hpp"
#include "tls_session.hpp"

#include <memory>

namespace rideau::tcp {

class TcpTransport;

class HandshakeOwner {
 public:
  virtual void on_handshake(Status status) noexcept = 0;
  // Nothing of the handshake is pending any more; the owner may free it, and itself.
  virtual void on_handshake_quiet() noexcept = 0;

 protected:
  ~HandshakeOwner() = default;
};

class Handshake {
 public:
  Handshake(TcpTransport& transport, HandshakeOwner& owner) noexcept : transport_(transport), owner_(owner) {}
  Handshake(const Handshake&) = delete;
  Handshake& operator=(const Handshake&) = delete;

  // on_handshake() may come inside.
  void begin(int fd, std::unique_ptr<TlsSession> session) noexcept;
  // Ends it, on_handshake() comes no more; after success the session is what the link goes on with. The owner forgets
  // the descriptor, which ends what is pending.
  std::unique_ptr<TlsSession> end() noexcept { return std::move(session_); }
  const TlsSession* session() const noexcept { return session_.get(); }
  bool quiet() const noexcept { return !readable_.pending && !writable_.pending; }

 private:
  void step() noexcept;
  void wait(std::uint32_t event) noexcept;
  void on_ready() noexcept;

  TcpTransport& transport_;
  HandshakeOwner& owner_;
  int fd_ = -1;
  std::unique_ptr<TlsSession> session_;
  Callback<Handshake, &Handshake::on_ready> readable_{*this};
  Callback<Handshake, &Handshake::on_ready> writable_{*this};
};

}  // namespace rideau::tcp
