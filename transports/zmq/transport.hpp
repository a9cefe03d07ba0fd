// SPDX-License-Identifier: Apache-2.0
// The instance: ZeroMQ's context, listeners, links.
#pragma once

#include "keys.hpp"
#include "link.hpp"
#include "listener.hpp"
#include "rideau/sdk.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rideau::zeromq {

struct Config {
  std::uint32_t eager_bytes = 0;
  std::uint32_t head_bytes = 0;
  std::uint64_t window = 0;           // bytes that may be on their way to one link
  std::uint32_t high_water_mark = 0;  // frames, likewise
  std::uint32_t links_max = 0;
  std::int64_t heartbeat_ms = 0;
  std::uint64_t connect_timeout_ns = 0;
  Keys keys;
};

class ZmqTransport final : public Transport {
 public:
  ZmqTransport(Host& host, Config config);

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
  zmq::context_t& context() noexcept { return context_; }
  std::uint64_t next_number() noexcept { return ++last_number_; }
  std::uint64_t token() noexcept;                                        // never guessable, never 0
  void set_options(zmq::socket_t& socket, const std::string& endpoint);  // throw what ZeroMQ throws
  void set_server_options(zmq::socket_t& socket);
  ZmqLink* add_link(ZmqListener& listener, const std::string& peer);
  void remove_link(ZmqLink& link) noexcept;
  void check_stopped() noexcept;
  void log(Level level, const char* format, ...) noexcept __attribute__((format(printf, 3, 4)));

 private:
  struct EndJob : Job {
    zmq::context_t* context = nullptr;
  };
  ~ZmqTransport();
  bool links_quiet() const noexcept;
  void on_ended() noexcept;

  Host& host_;
  const Config config_;
  zmq::context_t context_;
  std::unique_ptr<KeyCheck> key_check_;
  std::vector<std::unique_ptr<ZmqListener>> listeners_;
  std::vector<std::unique_ptr<ZmqLink>> links_;
  Completion* stopping_ = nullptr;
  bool stopped_ = false;
  bool sockets_closed_ = false;
  bool ending_ = false;
  std::uint64_t last_number_ = 0;
  EndJob end_job_;
  driver::Callback<ZmqTransport, &ZmqTransport::on_ended> ended_{*this};
};

}  // namespace rideau::zeromq
