// SPDX-License-Identifier: Apache-2.0
#include "socket.hpp"

#include <cerrno>
#include <utility>

namespace rideau::zeromq {

Socket::~Socket() {
  if (!closed_ && fd_ >= 0) host_.forget_fd(fd_);
}

int Socket::open(zmq::context_t& context, zmq::socket_type type) noexcept {
  try {
    socket_ = zmq::socket_t(context, type);
    fd_ = socket_.get(zmq::sockopt::fd);
    closed_ = false;
    return 0;
  } catch (const zmq::error_t& error) {
    return error.num();
  }
}

void Socket::watch() noexcept { look_again(); }

void Socket::look_again() noexcept {
  if (closed_ || turn_.pending) return;
  turn_.pending = true;
  host_.complete(turn_, kOk, 0);
}

bool Socket::readable() noexcept {
  try {
    return (socket_.get(zmq::sockopt::events) & ZMQ_POLLIN) != 0;
  } catch (const zmq::error_t&) {
    return false;
  }
}

void Socket::on_ready() noexcept {
  if (closed_) {
    if (quiet()) owner_.on_quiet();
    return;
  }
  if (readable()) {
    // It is asked again in a later turn, since handling may have sent.
    owner_.on_readable();
    look_again();
    if (quiet()) owner_.on_quiet();
    return;
  }
  if (ready_.pending || turn_.pending) return;
  ready_.pending = true;
  if (host_.wait_fd(fd_, kWaitReadable, ready_) == Submitted::finished) {
    ready_.pending = false;
    host_.log(Level::error, "zmq: cannot wait for a socket");
  }
}

Sent Socket::send(const std::string& to, zmq::message_t frame) noexcept {
  if (closed_) return Sent::gone;
  try {
    look_again();
    if (!to.empty() && !socket_.send(zmq::buffer(to), zmq::send_flags::sndmore | zmq::send_flags::dontwait)) {
      return Sent::full;
    }
    return socket_.send(std::move(frame), zmq::send_flags::dontwait) ? Sent::ok : Sent::full;
  } catch (const zmq::error_t& error) {
    return Sent::gone;
  }
}

bool Socket::receive(std::string* from, zmq::message_t* frame, bool* extra) noexcept {
  if (closed_) return false;
  *extra = false;
  try {
    if (from != nullptr) {
      zmq::message_t identity;
      if (!socket_.recv(identity, zmq::recv_flags::dontwait)) return false;
      from->assign(identity.data<char>(), identity.size());
      if (!identity.more()) {
        frame->rebuild();
        return true;
      }
    }
    if (!socket_.recv(*frame, zmq::recv_flags::dontwait)) return false;
    for (bool more = frame->more(); more;) {
      zmq::message_t rest;
      *extra = true;
      if (!socket_.recv(rest, zmq::recv_flags::dontwait)) break;
      more = rest.more();
    }
    return true;
  } catch (const zmq::error_t&) {
    return false;
  }
}

void Socket::close() noexcept {
  if (std::exchange(closed_, true)) return;
  host_.forget_fd(fd_);
  // A socket that is closed while it is watched is kept by ZeroMQ, with its watcher, until the context ends.
  zmq_socket_monitor(socket_.handle(), nullptr, 0);
  socket_.close();
}

}  // namespace rideau::zeromq
