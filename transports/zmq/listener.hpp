// SPDX-License-Identifier: Apache-2.0
// A router socket: links arrive on it, and all of them share it.
#pragma once

#include "link.hpp"
#include "socket.hpp"

#include <map>
#include <set>
#include <string>

namespace rideau::zeromq {

class ZmqListener final : public SocketOwner {
 public:
  ZmqListener(ZmqTransport& transport, LinkEvents& events);
  ZmqListener(const ZmqListener&) = delete;
  ZmqListener& operator=(const ZmqListener&) = delete;

  Status open(const std::string& endpoint, std::string* bound);
  Socket& socket() noexcept { return socket_; }
  void forget(const std::string& peer) noexcept { links_.erase(peer); }
  // No new links from now on.
  void stop_listening() noexcept { listening_ = false; }
  void close() noexcept;
  bool quiet() const noexcept;

 private:
  // Tells when a connection ended, by a number that may be another's already: each link is asked then.
  class Monitor final : public SocketOwner {
   public:
    explicit Monitor(ZmqListener& listener) noexcept;
    ZmqListener& listener;
    Socket socket;

    void on_readable() noexcept override;

   private:
    void on_quiet() noexcept override { listener.on_quiet(); }
  };

  void on_readable() noexcept override;
  void on_quiet() noexcept override;
  void greet(const std::string& peer, const zmq::message_t& frame, bool extra) noexcept;
  void refuse(const std::string& peer, Code why) noexcept;
  void probe_later() noexcept;
  void on_probe() noexcept;

  ZmqTransport& transport_;
  LinkEvents& events_;
  Socket socket_;
  Monitor monitor_;
  std::map<std::string, ZmqLink*> links_;
  std::set<int> shaken_;  // descriptors of connections that got through ZeroMQ's handshake, while they are open
  bool listening_ = true;
  bool closed_ = false;
  std::uint32_t probes_left_ = 0;
  driver::Callback<ZmqListener, &ZmqListener::on_probe> probe_{*this};
};

}  // namespace rideau::zeromq
