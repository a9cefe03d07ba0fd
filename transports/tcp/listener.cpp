// SPDX-License-Identifier: Apache-2.0
#include "listener.hpp"

#include "link.hpp"
#include "transport.hpp"

#include <string>
#include <utility>

namespace rideau::tcp {
namespace {

// How long accepting rests when the process has no descriptors left.
constexpr std::uint64_t kPauseNs = 100'000'000;

}  // namespace

Listener::Listener(TcpTransport& transport, int fd, LinkEvents& events, bool local) noexcept
    : transport_(transport), fd_(fd), events_(events), local_(local) {}

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

Status Listener::accept(int* fd, PeerInfo* peer) noexcept {
  transport_.host().count(Tally::system_calls, 1);
  Status status;
  if (local_) {
    status = accept_local(fd_, transport_.config().socket, fd);
    if (!status.ok()) return status;
    int process = 0;
    peer->is_local = true;
    peer->is_trusted = is_trusted(*fd, &process);
    peer->name = "process " + std::to_string(process) + " of this machine";
    return status;
  }
  Address from;
  status = accept_one(fd_, transport_.config().socket, fd, &from);
  if (status.ok()) peer->name = address_text(from);
  return status;
}

void Listener::on_ready() noexcept {
  for (std::uint32_t i = 0; fd_ >= 0 && i < kAcceptsPerTurn; ++i) {
    int fd = -1;
    PeerInfo peer;
    const Status status = accept(&fd, &peer);
    if (status.code == Code::not_found) break;
    if (!status.ok()) {
      transport_.log(Level::warning, "cannot accept a connection (errno %d)", status.os_error);
      pause_.pending = true;
      if (transport_.host().sleep(kPauseNs, pause_) == Submitted::finished) pause_.pending = false;
      if (pause_.pending) return;
      break;
    }
    if (transport_.tls() != nullptr && !local_) {
      transport_.accept_tls(fd, std::move(peer), events_);
      continue;
    }
    if (transport_.tls() != nullptr && !peer.is_trusted) {
      // Without a certificate the user has to answer for it. Our own side does not try this.
      transport_.log_refusal("%s refused: it is another user's, and has to come over TLS", peer.name.c_str());
      close_socket(fd);
      continue;
    }
    TcpLink* link = transport_.add_link(fd, std::move(peer), nullptr);
    if (link == nullptr) continue;
    if (local_) {
      link->begin(events_.on_link(*link));
    } else {
      transport_.begin_accepted(*link, events_);
    }
  }
  if (fd_ >= 0) wait();
  transport_.check_stopped();
}

void Listener::on_pause_over() noexcept {
  if (fd_ >= 0) wait();
  transport_.check_stopped();
}

}  // namespace rideau::tcp
