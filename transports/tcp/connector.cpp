// SPDX-License-Identifier: Apache-2.0
#include "connector.hpp"

#include "bundle.hpp"
#include "link.hpp"
#include "transport.hpp"

#include <algorithm>
#include <utility>

namespace rideau::tcp {

Connector::Connector(TcpTransport& transport, LinkEvents& events, Link** out, Completion& done) noexcept
    : transport_(transport), events_(&events), out_(out), done_(&done) {
  done.plugin_slot[0] = static_cast<Pending*>(this);
}

Connector::Connector(TcpTransport& transport, Bundle& lane_of, std::uint32_t lane) noexcept
    : transport_(transport), done_(&lane_done_), lane_of_(&lane_of), lane_(lane) {}

Connector::~Connector() { drop_socket(); }

void Connector::set_deadline() {
  Host& host = transport_.host();
  const std::uint64_t now = host.now_ns();
  std::uint64_t until = now + transport_.config().connect_timeout_ns;
  if (done_->deadline_ns != 0) until = std::min(until, done_->deadline_ns);
  deadline_.pending = host.sleep(until > now ? until - now : 0, deadline_) == Submitted::pending;
}

void Connector::begin_lane(const HostPort& name, const Address& address) {
  set_deadline();
  job_.name = name;
  job_.addresses = {address};
  try_next();
}

void Connector::begin(const HostPort& name) {
  set_deadline();
  job_.name = name;
  if (resolve(name, false, &job_.addresses).ok()) {
    try_next();
    return;
  }
  job_.run = [](Job* job) noexcept {
    auto* self = static_cast<ResolveJob*>(job);
    self->status = resolve(self->name, true, &self->addresses);
  };
  resolved_.pending = true;
  transport_.host().run_blocking(job_, resolved_);
}

void Connector::on_resolved() noexcept {
  if (done_ != nullptr) {
    if (job_.status.ok()) {
      try_next();
    } else {
      end(job_.status);
    }
  }
  check_gone();
}

void Connector::try_next() noexcept {
  while (next_address_ < job_.addresses.size()) {
    const Address& address = job_.addresses[next_address_++];
    if (transport_.config().local && events_ != nullptr &&
        open_local_connection(address, transport_.config().socket, transport_.tls() != nullptr, &fd_).ok()) {
      add_link(true);
      return;
    }
    const Status status = open_connection(address, transport_.config().socket, &fd_);
    if (status.ok()) {
      connected();
      return;
    }
    if (status.code == Code::busy && status.os_error == 0) {
      writable_.pending = true;
      if (transport_.host().wait_fd(fd_, kWaitWritable, writable_) == Submitted::finished) {
        writable_.pending = false;
        end(writable_.status);
      }
      return;
    }
    last_ = status;
  }
  end(last_);
}

void Connector::on_writable() noexcept {
  if (done_ != nullptr && fd_ >= 0) {
    const Status status = connect_result(fd_);
    if (status.ok()) {
      connected();
    } else {
      last_ = status;
      drop_socket();
      try_next();
    }
  }
  check_gone();
}

void Connector::on_deadline() noexcept {
  if (done_ != nullptr) end({Code::timed_out, 0, "connect"});
  check_gone();
}

void Connector::connected() noexcept {
  if (transport_.tls() == nullptr) {
    add_link(false);
    return;
  }
  std::unique_ptr<TlsSession> session =
      TlsSession::make(*transport_.tls(), fd_, TlsSession::Side::connects, job_.name.host);
  if (session == nullptr) {
    end({Code::busy, 0, "connect: no memory for TLS"});
    return;
  }
  handshake_.begin(fd_, std::move(session));
}

// Other addresses of the name lead to the same node: they are not tried when this one refuses.
void Connector::on_handshake(Status status) noexcept {
  if (status.ok()) {
    add_link(false);
    return;
  }
  if (status.code == Code::refused) {
    const std::string address = address_text(job_.addresses[next_address_ - 1]);
    transport_.log_refusal("no link with %s: %s", address.c_str(), handshake_.session()->failure_text().c_str());
  }
  end(status);
}

void Connector::add_link(bool local) noexcept {
  transport_.host().forget_fd(fd_);
  PeerInfo peer;
  peer.name = address_text(job_.addresses[next_address_ - 1]);
  peer.is_local = local;
  peer.is_trusted = local;  // no others are connected to
  std::unique_ptr<TlsSession> session = handshake_.end();
  if (session != nullptr) peer.name += " (" + session->peer_name() + ")";
  TcpLink* link = transport_.add_link(std::exchange(fd_, -1), std::move(peer), std::move(session));
  if (link == nullptr) {
    end({Code::busy, 0, "connect: too many links"});
    return;
  }
  if (lane_of_ != nullptr) {
    Bundle& bundle = *std::exchange(lane_of_, nullptr);
    end(kOk);
    bundle.add_lane(*link, lane_);
    return;
  }
  if (transport_.config().connections > 1 && !local) {
    bundle_ = &transport_.add_bundle(*this, *events_);
    bundle_->begin(*link, job_.name, job_.addresses[next_address_ - 1]);
    return;
  }
  *out_ = link;
  // The completion is queued first, so that the caller knows the link before events of it come.
  end(kOk);
  link->begin(events_);
}

void Connector::bundle_ready(Link& link) noexcept {
  bundle_ = nullptr;
  *out_ = &link;
  end(kOk);
}

void Connector::end(Status status) noexcept {
  drop_socket();
  if (deadline_.pending) transport_.host().cancel(deadline_);
  Completion* done = std::exchange(done_, nullptr);
  if (done == nullptr) return;
  if (Bundle* bundle = std::exchange(bundle_, nullptr); bundle != nullptr) bundle->abandon();
  if (Bundle* bundle = std::exchange(lane_of_, nullptr); bundle != nullptr) bundle->lane_failed(*this, status);
  if (done == &lane_done_) return;
  done->plugin_slot[0] = nullptr;
  transport_.host().complete(*done, status, 0);
}

void Connector::cancel() noexcept { end({Code::cancelled, 0, "connect"}); }

void Connector::drop_socket() noexcept {
  static_cast<void>(handshake_.end());
  if (fd_ < 0) return;
  transport_.host().forget_fd(fd_);
  close_socket(fd_);
  fd_ = -1;
}

void Connector::check_gone() noexcept {
  if (done_ == nullptr && quiet()) transport_.remove_connector(*this);
}

}  // namespace rideau::tcp
