// SPDX-License-Identifier: Apache-2.0
#include "acceptor.hpp"

#include "transport.hpp"

#include <utility>

namespace rideau::tcp {

Acceptor::Acceptor(TcpTransport& transport, int fd, PeerInfo peer, LinkEvents& events) noexcept
    : transport_(transport), fd_(fd), peer_(std::move(peer)), events_(events) {}

Acceptor::~Acceptor() { end(nullptr); }

void Acceptor::begin(std::unique_ptr<TlsSession> session) noexcept {
  Host& host = transport_.host();
  deadline_.pending = host.sleep(transport_.config().connect_timeout_ns, deadline_) == Submitted::pending;
  handshake_.begin(fd_, std::move(session));
  begun_ = true;
  check_gone();
}

void Acceptor::end(const char* why) noexcept {
  if (ended()) return;
  if (why != nullptr) transport_.log_refusal("%s refused: %s", peer_.name.c_str(), why);
  static_cast<void>(handshake_.end());
  transport_.host().forget_fd(fd_);
  close_socket(std::exchange(fd_, -1));
  if (deadline_.pending) transport_.host().cancel(deadline_);
}

void Acceptor::on_handshake(Status status) noexcept {
  if (!status.ok()) {
    const std::string why = handshake_.session()->failure_text();
    end(why.empty() ? status.where : why.c_str());
    return;
  }
  peer_.name += " (" + handshake_.session()->peer_name() + ")";
  transport_.host().forget_fd(fd_);
  if (deadline_.pending) transport_.host().cancel(deadline_);
  TcpLink* link = transport_.add_link(std::exchange(fd_, -1), std::move(peer_), handshake_.end());
  if (link != nullptr) transport_.begin_accepted(*link, events_);
}

void Acceptor::on_deadline() noexcept {
  end("the handshake of TLS took too long");
  check_gone();
}

void Acceptor::check_gone() noexcept {
  if (begun_ && ended() && handshake_.quiet() && !deadline_.pending) transport_.remove_acceptor(*this);
}

}  // namespace rideau::tcp
