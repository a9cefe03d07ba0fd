// SPDX-License-Identifier: Apache-2.0
#include "listener.hpp"

#include "link.hpp"
#include "transport.hpp"

namespace rideau::tcp {
namespace {

// How long accepting rests when the process has no descriptors left.
constexpr std::uint64_t kPauseNs = 100'000'000;

}  // namespace

Listener::Listener(TcpTransport& transport, int fd, LinkEvents& events) noexcept
    : transport_(transport), fd_(fd), events_(events) {}

Listener::~Listener() { close(); }

void Listener::wait() noexcept {
  ready_.pending = true;
  if (transport_.host().wait_fd(fd_, kWaitReadable, ready_) == Submitted::finished) {
    ready_.pending = false;
    transport_.log(Level::error, "cannot wait for connections (code %d)", static_cast<int>(ready_.status.code));
  }
}

void Listener::close() noexcept {
  if (fd_ < 0) return;
  transport_.host().forget_fd(fd_);
  close_socket(fd_);
  fd_ = -1;
  if (pause_.pending) transport_.host().cancel(pause_);
}

void Listener::on_ready() noexcept {
  for (std::uint32_t i = 0; fd_ >= 0 && i < kAcceptsPerTurn; ++i) {
    int fd = -1;
    Address peer;
    const Status status = accept_one(fd_, transport_.config().socket, &fd, &peer);
    transport_.host().count(Tally::system_calls, 1);
    if (status.code == Code::not_found) break;
    if (!status.ok()) {
      transport_.log(Level::warning, "cannot accept a connection (errno %d)", status.os_error);
      pause_.pending = true;
      if (transport_.host().sleep(kPauseNs, pause_) == Submitted::finished) pause_.pending = false;
      if (pause_.pending) return;
      break;
    }
    TcpLink* link = transport_.add_link(fd, peer);
    if (link == nullptr) continue;
    LinkEvents* events = events_.on_link(*link);
    link->begin(events);
  }
  if (fd_ >= 0) wait();
  transport_.check_stopped();
}

void Listener::on_pause_over() noexcept {
  if (fd_ >= 0) wait();
  transport_.check_stopped();
}

}  // namespace rideau::tcp
