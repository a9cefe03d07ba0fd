// SPDX-License-Identifier: Apache-2.0
// CURVE: which keys this node has, whom it lets in, and how ZeroMQ asks for that (RFC 27, ZAP).
#pragma once

#include "socket.hpp"

#include "rideau/status.hpp"

#include <functional>
#include <set>
#include <string>
#include <utility>

namespace rideau::zeromq {

struct Keys {
  bool used = false;
  std::string secret_key;         // Z85
  std::string public_key;         // its other half
  std::string server_key;         // public key of the listeners that this node connects to
  std::set<std::string> allowed;  // public keys of those who may connect
};

// `key_file` holds the secret key on its first line; empty: no encryption. `allowed` has public keys between spaces.
// Without server_key or allowed it is this node's own public key: all nodes share one. On failure *problem says why.
Status read_keys(const std::string& key_file, const std::string& server_key, const std::string& allowed, Keys* out,
                 std::string* problem);

// Answers ZeroMQ's question for each connection that arrives at a listener.
class KeyCheck final : public SocketOwner {
 public:
  // `on_closed` is called when nothing is pending any more after close().
  KeyCheck(Host& host, const Keys& keys, std::function<void()> on_closed)
      : host_(host), keys_(keys), on_closed_(std::move(on_closed)), socket_(host, *this) {}
  int open(zmq::context_t& context) noexcept;
  void close() noexcept { socket_.close(); }
  bool quiet() const noexcept { return socket_.quiet(); }

 private:
  void on_readable() noexcept override;
  void on_quiet() noexcept override { on_closed_(); }

  Host& host_;
  const Keys& keys_;
  const std::function<void()> on_closed_;
  Socket socket_;
};

}  // namespace rideau::zeromq
