// SPDX-License-Identifier: Apache-2.0
#include "handshake.hpp"

#include "transport.hpp"

#include <utility>

namespace rideau::tcp {

void Handshake::begin(int fd, std::unique_ptr<TlsSession> session) noexcept {
  fd_ = fd;
  session_ = std::move(session);
  step();
}

void Handshake::step() noexcept {
  const TlsSession::Step next = session_->handshake();
  transport_.host().count(Tally::system_calls, session_->take_system_calls());
  switch (next) {
    case TlsSession::Step::done:
      owner_.on_handshake(kOk);
      break;
    case TlsSession::Step::failed:
      owner_.on_handshake(session_->failure());
      break;
    case TlsSession::Step::reads:
      wait(kWaitReadable);
      break;
    case TlsSession::Step::writes:
      wait(kWaitWritable);
      break;
  }
}

void Handshake::wait(std::uint32_t event) noexcept {
  auto& ready = event == kWaitReadable ? readable_ : writable_;
  ready.pending = true;
  if (transport_.host().wait_fd(fd_, event, ready) == Submitted::pending) return;
  ready.pending = false;
  owner_.on_handshake(ready.status);
}

void Handshake::on_ready() noexcept {
  if (session_ != nullptr) step();
  if (quiet()) owner_.on_handshake_quiet();
}

}  // namespace rideau::tcp
