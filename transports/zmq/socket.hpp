// SPDX-License-Identifier: Apache-2.0
// One ZeroMQ socket on the node's thread. Its descriptor only says that something changed since it was looked at; so
// after every call on the socket the events are asked for again, and only when there are none is the descriptor waited
// for.
#pragma once

#include "rideau/driver/callback.hpp"
#include "rideau/host.hpp"

#include <string>

#include <zmq.hpp>

namespace rideau::zeromq {

class SocketOwner {
 public:
  // Something may be there: receive() until there is nothing, or leave the rest for the next turn.
  virtual void on_readable() noexcept = 0;
  // After close(): the socket object may go.
  virtual void on_quiet() noexcept = 0;

 protected:
  ~SocketOwner() = default;
};

enum class Sent { ok, full, gone };

class Socket {
 public:
  Socket(Host& host, SocketOwner& owner) noexcept : host_(host), owner_(owner) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket();

  // Errors are errno values of ZeroMQ; 0: none.
  int open(zmq::context_t& context, zmq::socket_type type) noexcept;
  zmq::socket_t& raw() noexcept { return socket_; }
  template <class Change>
  int change(const Change& make) noexcept {
    try {
      make(socket_);
      return 0;
    } catch (const zmq::error_t& error) {
      return error.num();
    }
  }
  void watch() noexcept;
  Sent send(const std::string& to, zmq::message_t frame) noexcept;  // to: a peer of a router socket; else empty
  // False: nothing there. With `from` the first part of the message goes there. Parts behind the wanted ones are
  // dropped, and *extra says so.
  bool receive(std::string* from, zmq::message_t* frame, bool* extra) noexcept;
  void look_again() noexcept;
  void close() noexcept;
  bool quiet() const noexcept { return closed_ && !ready_.pending && !turn_.pending; }

 private:
  void on_ready() noexcept;
  bool readable() noexcept;

  Host& host_;
  SocketOwner& owner_;
  zmq::socket_t socket_;
  int fd_ = -1;
  bool closed_ = true;
  driver::Callback<Socket, &Socket::on_ready> ready_{*this};
  driver::Callback<Socket, &Socket::on_ready> turn_{*this};
};

}  // namespace rideau::zeromq
