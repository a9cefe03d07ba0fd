// SPDX-License-Identifier: Apache-2.0
// The instance: its endpoints, one for each address that it listens on and one for each fabric that it connects over.
#pragma once

#include "pending.hpp"
#include "endpoint.hpp"
#include "fabric.hpp"
#include "rideau/sdk.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rideau::rdma {

struct Config {
  FabricChoice fabric;
  std::uint32_t eager_bytes = 0;
  std::uint32_t head_bytes = 0;
  std::uint64_t hold_bytes = 0;  // of loans of one link
  std::uint32_t window = 0;      // frames with bytes of messages under way on one link and direction
  std::uint32_t links_max = 0;
  std::uint64_t keepalive_ns = 0;
  std::uint64_t connect_timeout_ns = 0;
  std::uint64_t cut_after_ns = 0;
  std::uint64_t poll_ns = 0;
  bool busy_poll = false;
};

class RdmaTransport final : public Transport {
 public:
  RdmaTransport(Host& host, Config config);

  Submitted start(Completion& done) noexcept override;
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;
  TransportLimits limits() const noexcept override;
  Status listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept override;
  Submitted connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept override;

  // For the parts of this driver.
  Host& host() noexcept { return host_; }
  const Config& config() const noexcept { return config_; }
  std::uint64_t token() noexcept;  // never guessable, never 0
  bool room_for_link() const noexcept { return links_ < config_.links_max; }
  void count_link(int change) noexcept { links_ += static_cast<std::uint32_t>(change); }
  void listen_again(const std::string& address, LinkEvents& events);
  void check_stopped() noexcept;
  void log(Level level, const char* format, ...) noexcept __attribute__((format(printf, 3, 4)));

 private:
  // Finds the fabric for an address away from the node's thread, then hands over to an endpoint.
  struct Connector final : Pending {
    Connector(RdmaTransport& transport, LinkEvents& events, Link** out, Completion& done) noexcept;
    void cancel() noexcept override;
    void on_found() noexcept;
    struct FindJob : Job {
      FabricChoice choice;
      HostPort address;
      InfoPtr info;
      std::uint32_t process = 0;  // behind the address, where it is one of shared memory
      std::string why;
    };
    RdmaTransport& transport;
    LinkEvents& events;
    Link** out;
    Completion* done;
    FindJob job;
    Callback<Connector, &Connector::on_found> found{*this};
  };
  struct Listening {
    std::string address;
    LinkEvents* events;
  };

  ~RdmaTransport();
  Status add_endpoint(InfoPtr info, LinkEvents* events, const std::string& address, Endpoint** out);
  Status open_listener(const HostPort& address, LinkEvents& events, Endpoint** out);
  void connect_found(Connector& connector) noexcept;
  void remove(Connector& connector) noexcept;
  void on_listen_again() noexcept;
  bool quiet() const noexcept;

  Host& host_;
  const Config config_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::unique_ptr<Connector>> connectors_;
  std::vector<Listening> lost_listeners_;
  std::uint32_t links_ = 0;
  Completion* stopping_ = nullptr;
  bool stopped_ = false;
  std::uint64_t tokens_[32] = {};
  std::uint32_t tokens_left_ = 0;
  Callback<RdmaTransport, &RdmaTransport::on_listen_again> again_{*this};
};

}  // namespace rideau::rdma
