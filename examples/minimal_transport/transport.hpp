// SPDX-License-Identifier: Apache-2.0
// The instance: listeners, connections being made, and links.
#pragma once

#include "link.hpp"
#include "sockets.hpp"

#include <rideau/sdk.hpp>

#include <memory>
#include <vector>

namespace minimal {

class MinimalTransport final : public rideau::Transport {
 public:
  MinimalTransport(rideau::Host& host, std::uint64_t connect_timeout_ns)
      : host_(host), connect_timeout_ns_(connect_timeout_ns) {}

  rideau::Submitted start(rideau::Completion& done) noexcept override { return done.finish(rideau::kOk); }
  rideau::Submitted stop(rideau::Completion& done) noexcept override;
  void cancel(rideau::Completion& pending) noexcept override;
  void destroy() noexcept override { delete this; }
  rideau::TransportLimits limits() const noexcept override;
  rideau::Status listen(rideau::Text address, rideau::LinkEvents& events, rideau::MutableBytes bound,
                        std::size_t* bound_size) noexcept override;
  rideau::Submitted connect(rideau::Text address, rideau::LinkEvents& events, rideau::Link** out,
                            rideau::Completion& done) noexcept override;

  rideau::Host& host() noexcept { return host_; }
  std::uint64_t token() noexcept;
  void remove(MinimalLink& link) noexcept;
  void check_stopped() noexcept;

 private:
  struct Listener {
    void on_ready() noexcept;
    MinimalTransport& transport;
    int fd;
    rideau::LinkEvents& events;
    rideau::driver::Callback<Listener, &Listener::on_ready> ready{*this};
  };
  struct Connecting final : Cancellable {
    Connecting(MinimalTransport& its_transport, rideau::LinkEvents& its_events, rideau::Link** its_out,
               rideau::Completion& its_done) noexcept
        : transport(its_transport), events(its_events), out(its_out), done(&its_done) {}
    void cancel() noexcept override { end({rideau::Code::cancelled, 0, "connect"}); }
    void on_writable() noexcept;
    void on_deadline() noexcept;
    void end(rideau::Status status) noexcept;
    MinimalTransport& transport;
    rideau::LinkEvents& events;
    rideau::Link** out;
    rideau::Completion* done;
    int fd = -1;
    rideau::driver::Callback<Connecting, &Connecting::on_writable> writable{*this};
    rideau::driver::Callback<Connecting, &Connecting::on_deadline> deadline{*this};
  };

  ~MinimalTransport();
  bool quiet() const noexcept;
  void wait(Listener& listener) noexcept;
  MinimalLink& add_link(int fd);
  void sweep() noexcept;

  rideau::Host& host_;
  const std::uint64_t connect_timeout_ns_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Connecting>> connecting_;
  std::vector<MinimalLink*> links_;
  rideau::Completion* stopping_ = nullptr;
  bool stopped_ = false;
};

}  // namespace minimal
