// SPDX-License-Identifier: Apache-2.0
// One listening socket, of TCP or of this machine alone: accepts links until it is closed.
#pragma once

#include "callback.hpp"
#include "rideau/transport.hpp"

namespace rideau::tcp {

class TcpTransport;
struct PeerInfo;

class Listener {
 public:
  Listener(TcpTransport& transport, int fd, LinkEvents& events, bool local) noexcept;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  void wait() noexcept;
  void close() noexcept;
  bool quiet() const noexcept { return fd_ < 0 && !ready_.pending && !pause_.pending; }

 private:
  Status accept(int* fd, PeerInfo* peer) noexcept;
  void on_ready() noexcept;
  void on_pause_over() noexcept;

  TcpTransport& transport_;
  int fd_;
  LinkEvents& events_;
  const bool local_;
  Callback<Listener, &Listener::on_ready> ready_{*this};
  Callback<Listener, &Listener::on_pause_over> pause_{*this};
};

}  // namespace rideau::tcp
