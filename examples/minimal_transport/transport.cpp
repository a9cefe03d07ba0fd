// SPDX-License-Identifier: Apache-2.0
#include "transport.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace minimal {

using namespace rideau;

MinimalTransport::~MinimalTransport() {
  for (auto& listener : listeners_) {
    if (listener->fd < 0) continue;
    host_.forget_fd(listener->fd);
    close_socket(listener->fd);
  }
  for (auto& one : connecting_) {
    if (one->fd < 0) continue;
    host_.forget_fd(one->fd);
    close_socket(one->fd);
  }
  for (MinimalLink* link : std::exchange(links_, {})) delete link;
}

TransportLimits MinimalTransport::limits() const noexcept {
  TransportLimits limits;
  limits.head_bytes_max = kHeadBytesMax;
  limits.eager_bytes_max = kEagerBytesMax;
  limits.parts_max = kPartsMax;
  limits.bulk_bytes_max = kBulkBytesMax;
  return limits;
}

Status MinimalTransport::listen(Text address, LinkEvents& events, MutableBytes bound,
                                std::size_t* bound_size) noexcept {
  if (stopped_) return {Code::closed, 0, "listen"};
  Place place;
  if (!parse(address, &place)) return {Code::invalid, 0, "an address is a.b.c.d:port"};
  int fd = -1;
  const int error = listen_on(place, &fd, &place);
  if (error != 0) return {error == EADDRINUSE ? Code::exists : Code::io_error, error, "listen"};
  const std::string text = text_of(place);
  if (text.size() > bound.size) {
    close_socket(fd);
    return {Code::too_large, 0, "listen: no room for the bound address"};
  }
  std::memcpy(bound.data, text.data(), text.size());
  *bound_size = text.size();
  listeners_.emplace_back(new Listener{*this, fd, events});
  wait(*listeners_.back());
  return kOk;
}

void MinimalTransport::wait(Listener& listener) noexcept {
  listener.ready.pending = true;
  if (host_.wait_fd(listener.fd, kWaitReadable, listener.ready) == Submitted::finished) listener.ready.pending = false;
}

void MinimalTransport::Listener::on_ready() noexcept {
  int made = -1;
  while (fd >= 0 && accept_from(fd, &made) == 0) {
    MinimalLink& link = transport.add_link(made);
    link.begin(events.on_link(link));
  }
  if (fd >= 0) transport.wait(*this);
  transport.check_stopped();
}

Submitted MinimalTransport::connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept {
  if (stopped_) return done.finish({Code::closed, 0, "connect"});
  Place place;
  if (!parse(address, &place)) return done.finish({Code::invalid, 0, "an address is a.b.c.d:port"});
  sweep();
  auto made = std::make_unique<Connecting>(*this, events, out, done);
  const int error = connect_to(place, &made->fd);
  if (error != 0 && error != EINPROGRESS) return done.finish({Code::io_error, error, "connect"});
  Connecting& one = *made;
  connecting_.push_back(std::move(made));
  done.plugin_slot[0] = static_cast<Cancellable*>(&one);
  std::uint64_t wait_ns = connect_timeout_ns_;
  const std::uint64_t now = host_.now_ns();
  if (done.deadline_ns != 0) wait_ns = std::min(wait_ns, done.deadline_ns > now ? done.deadline_ns - now : 0);
  one.deadline.pending = host_.sleep(wait_ns, one.deadline) == Submitted::pending;
  one.writable.pending = host_.wait_fd(one.fd, kWaitWritable, one.writable) == Submitted::pending;
  if (!one.writable.pending) one.end(one.writable.status);
  return Submitted::pending;
}

void MinimalTransport::Connecting::on_writable() noexcept {
  if (done != nullptr) {
    const int error = connect_result(fd);
    if (error != 0) {
      end({Code::io_error, error, "connect"});
    } else {
      transport.host_.forget_fd(fd);
      MinimalLink& link = transport.add_link(std::exchange(fd, -1));
      *out = &link;
      end(kOk);  // queued before anything of the link is told
      link.begin(&events);
    }
  }
  transport.check_stopped();
}

void MinimalTransport::Connecting::on_deadline() noexcept {
  if (done != nullptr) end({Code::timed_out, 0, "connect"});
  transport.check_stopped();
}

void MinimalTransport::Connecting::end(Status status) noexcept {
  if (fd >= 0) {
    transport.host_.forget_fd(fd);
    close_socket(std::exchange(fd, -1));
  }
  if (deadline.pending) transport.host_.cancel(deadline);
  Completion* taken = std::exchange(done, nullptr);
  if (taken == nullptr) return;
  taken->plugin_slot[0] = nullptr;
  transport.host_.complete(*taken, status, 0);
}

// Connects that are over and have nothing pending go when the next one begins.
void MinimalTransport::sweep() noexcept {
  std::erase_if(connecting_, [](const auto& one) {
    return one->done == nullptr && !one->writable.pending && !one->deadline.pending;
  });
}

MinimalLink& MinimalTransport::add_link(int fd) {
  links_.push_back(new MinimalLink(*this, fd));
  return *links_.back();
}

void MinimalTransport::remove(MinimalLink& link) noexcept {
  const auto found = std::find(links_.begin(), links_.end(), &link);
  if (found == links_.end()) return;
  links_.erase(found);
  delete &link;
}

std::uint64_t MinimalTransport::token() noexcept {
  std::uint64_t token = 0;
  while (token == 0) host_.random(MutableBytes(&token, sizeof token));
  return token;
}

void MinimalTransport::cancel(Completion& pending) noexcept {
  if (pending.plugin_slot[0] != nullptr) static_cast<Cancellable*>(pending.plugin_slot[0])->cancel();
}

Submitted MinimalTransport::stop(Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  stopped_ = true;
  for (auto& listener : listeners_) {
    if (listener->fd < 0) continue;
    host_.forget_fd(listener->fd);
    close_socket(std::exchange(listener->fd, -1));
  }
  for (auto& one : connecting_) one->end({Code::closed, 0, "the transport was stopped"});
  for (MinimalLink* link : links_) link->close();
  if (quiet()) return done.finish(kOk);
  stopping_ = &done;
  return Submitted::pending;
}

bool MinimalTransport::quiet() const noexcept {
  return std::all_of(listeners_.begin(), listeners_.end(), [](const auto& one) { return !one->ready.pending; }) &&
         std::all_of(connecting_.begin(), connecting_.end(),
                     [](const auto& one) { return !one->writable.pending && !one->deadline.pending; }) &&
         std::all_of(links_.begin(), links_.end(), [](MinimalLink* link) { return link->quiet(); });
}

void MinimalTransport::check_stopped() noexcept {
  if (stopping_ == nullptr || !quiet()) return;
  host_.complete(*std::exchange(stopping_, nullptr), kOk, 0);
}

}  // namespace minimal
