// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/relay.hpp"

#include "framework/runtime/await.hpp"
#include "rideau/host.hpp"
#include "sdk/testkit/relay_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace rideau::relay {
namespace {

constexpr std::size_t kReadBytes = 65536;
constexpr std::uint64_t kDripNs = 20 * kMicrosecond;
constexpr std::uint64_t kUnevenNs = 3 * kMillisecond;
constexpr std::uint64_t kStoppedNs = 200 * kMicrosecond;

}  // namespace

int Relay::open(const std::string& place, const std::string& target) {
  const Opened opened = listen_at(place);
  if (opened.fd < 0) return opened.error;
  listener_ = opened.fd;
  place_ = opened.place;
  target_ = target;
  tasks_.spawn(accept_all());
  return 0;
}

void Relay::plan(Fault fault) {
  fault_ = fault;
  ++plans_;
  stopped_ = false;
  resumed_ = false;
  happened_ = false;
  passed_[0] = passed_[1] = 0;
  accepted_ = 0;
  range_.clear();
  quiet_since_ns_ = runtime_.now_ns();
}

Task<> Relay::accept_all() {
  const int listener = listener_;
  for (;;) {
    const Outcome ready = co_await submit([&](Completion& c) { return runtime_.wait_fd(listener, kWaitReadable, c); });
    if (!ready.ok()) co_return;
    const int near = accept_one(listener);
    if (near < 0) continue;
    const Opened far = connect_to(target_);
    if (far.fd < 0) {
      close_socket(near);
      continue;
    }
    Connection& connection = connections_.emplace_back();
    connection.fds[0] = near;
    connection.fds[1] = far.fd;
    connection.plan = plans_;
    connection.number = accepted_++;
    tasks_.spawn(carry(connection, Way::there));
    tasks_.spawn(carry(connection, Way::back));
  }
}

bool Relay::concerns(const Connection& connection, Way way) const noexcept {
  return connection.plan == plans_ && fault_.way == way;
}

Task<> Relay::carry(Connection& connection, Way way) {
  const int from = connection.fds[way == Way::there ? 0 : 1];
  std::vector<int> files;
  for (;;) {
    const bool stops = fault_.kind == Fault::Kind::stop && concerns(connection, way) && !resumed_;
    if (stops && !happened_ && passed(way) >= fault_.at) happened_ = stopped_ = true;
    while (stops && stopped_ && connection.fds[0] >= 0) co_await sleep_for(runtime_, kStoppedNs);
    if (fault_.kind == Fault::Kind::cut && concerns(connection, way) && passed(way) >= fault_.at) {
      happened_ = true;
      drop(connection);
    }
    if (connection.fds[0] < 0) break;
    const Outcome ready = co_await submit([&](Completion& c) { return runtime_.wait_fd(from, kWaitReadable, c); });
    const bool late = fault_.kind == Fault::Kind::uneven && connection.plan == plans_ && connection.number != fault_.at;
    if (late) co_await sleep_for(runtime_, kUnevenNs);
    if (!ready.ok() || connection.fds[0] < 0) break;
    std::vector<std::uint8_t> bytes(kReadBytes);
    if (stops && !happened_) bytes.resize(std::min<std::uint64_t>(kReadBytes, fault_.at - passed(way)));
    const Moved got = read_some(from, MutableBytes(bytes.data(), bytes.size()), &files);
    if (got.error == EAGAIN) continue;
    if (got.error != 0) {
      drop(connection);
      break;
    }
    if (got.bytes == 0) {
      end_writing(connection.fds[way == Way::there ? 1 : 0]);
      break;
    }
    bytes.resize(got.bytes);
    const bool passed_on = co_await forward(connection, way, spoil(connection, way, bytes), files);
    if (!passed_on) break;
  }
  for (const int file : files) close_socket(file);
  if (--connection.ways > 0) co_return;
  drop(connection);
  connections_.remove_if([&](const Connection& one) { return &one == &connection; });
}

// What passes in the place of these bytes.
std::vector<std::uint8_t> Relay::spoil(Connection& connection, Way way, const std::vector<std::uint8_t>& bytes) {
  std::uint64_t& at = passed_[static_cast<std::size_t>(way)];
  if (connection.plan != plans_) return bytes;
  quiet_since_ns_ = runtime_.now_ns();
  const std::uint64_t first = std::exchange(at, at + bytes.size());
  if (!concerns(connection, way)) return bytes;
  std::vector<std::uint8_t> out;
  switch (fault_.kind) {
    case Fault::Kind::none:
    case Fault::Kind::stop:
    case Fault::Kind::drip:
    case Fault::Kind::uneven:
      return bytes;
    case Fault::Kind::cut:
      out.assign(bytes.begin(),
                 bytes.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(bytes.size(), fault_.at - first)));
      return out;
    case Fault::Kind::duplicate:
    case Fault::Kind::leave_out:
    case Fault::Kind::change:
      break;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::uint64_t place = first + i;
    const bool inside = place >= fault_.at && place - fault_.at < fault_.size;
    happened_ = happened_ || (inside && fault_.kind != Fault::Kind::duplicate);
    if (!inside || fault_.kind == Fault::Kind::duplicate) out.push_back(bytes[i]);
    if (!inside) continue;
    if (fault_.kind == Fault::Kind::change) out.push_back(bytes[i] ^ static_cast<std::uint8_t>(1u << dice_.below(8)));
    if (fault_.kind != Fault::Kind::duplicate) continue;
    range_.push_back(bytes[i]);
    if (range_.size() < fault_.size) continue;
    out.insert(out.end(), range_.begin(), range_.end());
    happened_ = true;
  }
  return out;
}

Task<bool> Relay::forward(Connection& connection, Way way, std::vector<std::uint8_t> bytes, std::vector<int>& files) {
  const int to = connection.fds[way == Way::there ? 1 : 0];
  std::size_t done = 0;
  while (done < bytes.size()) {
    const bool drips = fault_.kind == Fault::Kind::drip && connection.plan == plans_;
    if (drips && done > 0) co_await sleep_for(runtime_, kDripNs);
    if (connection.fds[0] < 0) co_return false;
    const std::size_t piece = drips ? 1 + dice_.below(7) : bytes.size();
    const Moved put = write_some(to, Bytes(bytes.data() + done, std::min(piece, bytes.size() - done)), &files);
    done += put.bytes;
    if (put.error == 0) continue;
    if (put.error != EAGAIN && put.error != ENOTCONN) {
      drop(connection);
      co_return false;
    }
    const Outcome ready = co_await submit([&](Completion& c) { return runtime_.wait_fd(to, kWaitWritable, c); });
    if (!ready.ok()) co_return false;
  }
  co_return true;
}

void Relay::drop(Connection& connection) {
  for (int& fd : connection.fds) {
    if (fd < 0) continue;
    runtime_.forget_fd(fd);
    close_socket(std::exchange(fd, -1));
  }
}

Task<> Relay::close() {
  runtime_.forget_fd(listener_);
  close_socket(std::exchange(listener_, -1));
  for (Connection& connection : connections_) drop(connection);
  resume();
  co_await tasks_.join();
}

}  // namespace rideau::relay
