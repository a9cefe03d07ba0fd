// SPDX-License-Identifier: Apache-2.0
#include "transport.hpp"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <utility>

namespace rideau::zeromq {
namespace {

// "host:port" is over TCP, "ipc://path" a socket of this machine. Empty: neither.
std::string endpoint_of(std::string_view address, bool listen) {
  if (address.starts_with("ipc://")) return std::string(address);
  if (address.starts_with("tcp://")) address.remove_prefix(6);
  const std::size_t colon = address.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == address.size()) return {};
  const std::string_view port = address.substr(colon + 1);
  if (!std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; })) return {};
  std::string endpoint = "tcp://" + std::string(address.substr(0, colon + 1));
  return endpoint + (listen && port == "0" ? "*" : std::string(port));
}

}  // namespace

ZmqTransport::ZmqTransport(Host& host, Config config) : host_(host), config_(std::move(config)) {}

ZmqTransport::~ZmqTransport() {
  // Without stop() nothing waits for anybody.
  for (auto& link : links_) link.reset();
  listeners_.clear();
  key_check_.reset();
}

Submitted ZmqTransport::start(Completion& done) noexcept { return done.finish(kOk); }

void ZmqTransport::set_options(zmq::socket_t& socket, const std::string& endpoint) {
  const auto largest = static_cast<std::int64_t>(sizeof(FrameHeader)) + config_.head_bytes +
                       std::max(config_.eager_bytes, kPieceBytes) + kCurveBytes;
  socket.set(zmq::sockopt::maxmsgsize, largest);
  socket.set(zmq::sockopt::sndhwm, static_cast<int>(config_.high_water_mark + kControlFrames));
  socket.set(zmq::sockopt::rcvhwm, static_cast<int>(config_.high_water_mark + kControlFrames));
  socket.set(zmq::sockopt::linger, static_cast<int>(kLingerMs));
  if (endpoint.find('[') != std::string::npos) socket.set(zmq::sockopt::ipv6, 1);
  // The kernel's, not ZeroMQ's: libzmq 4.3.4 aborts when its own come due on a connection that ended unread.
  if (config_.heartbeat_ms > 0) {
    const int seconds = static_cast<int>(std::max<std::int64_t>(1, config_.heartbeat_ms / 1000));
    socket.set(zmq::sockopt::tcp_keepalive, 1);
    socket.set(zmq::sockopt::tcp_keepalive_idle, seconds);
    socket.set(zmq::sockopt::tcp_keepalive_intvl, std::max(1, seconds / kUnansweredProbes));
    socket.set(zmq::sockopt::tcp_keepalive_cnt, kUnansweredProbes);
    socket.set(zmq::sockopt::tcp_maxrt, static_cast<int>(2 * config_.heartbeat_ms));
  }
  if (!config_.keys.used) return;
  socket.set(zmq::sockopt::curve_secretkey, config_.keys.secret_key);
  socket.set(zmq::sockopt::curve_publickey, config_.keys.public_key);
  if (socket.get(zmq::sockopt::type) == ZMQ_DEALER) {
    socket.set(zmq::sockopt::curve_serverkey, config_.keys.server_key);
  }
}

void ZmqTransport::set_server_options(zmq::socket_t& socket) {
  if (!config_.keys.used) return;
  socket.set(zmq::sockopt::curve_server, 1);
  socket.set(zmq::sockopt::zap_domain, std::string("rideau"));
}

Status ZmqTransport::listen(Text address, LinkEvents& events, MutableBytes bound, std::size_t* bound_size) noexcept {
  if (stopped_) return {Code::closed, 0, "listen"};
  const std::string endpoint = endpoint_of(address.view(), true);
  if (endpoint.empty()) return {Code::invalid, 0, "address: expected host:port or ipc://path"};
  if (config_.keys.used && key_check_ == nullptr) {
    key_check_ = std::make_unique<KeyCheck>(host_, config_.keys, [this] { check_stopped(); });
    if (const int error = key_check_->open(context_); error != 0) return {Code::io_error, error, "listen: keys"};
  }
  listeners_.push_back(std::make_unique<ZmqListener>(*this, events));
  std::string actual;
  Status status = listeners_.back()->open(endpoint, &actual);
  if (actual.starts_with("tcp://")) actual.erase(0, 6);
  if (status.ok() && actual.size() > bound.size) status = {Code::too_large, 0, "listen: no room for the bound address"};
  if (!status.ok()) {
    listeners_.back()->close();
    return status;
  }
  const bool reached_from_here =
      actual.starts_with("127.") || actual.starts_with("[::1]") || actual.starts_with("ipc:");
  if (!config_.keys.used && !reached_from_here) {
    log(Level::warning, "%s is open to whoever can reach it: `rideau keys --help` tells how a cluster gets keys",
        actual.c_str());
  }
  std::memcpy(bound.data, actual.data(), actual.size());
  *bound_size = actual.size();
  return kOk;
}

Submitted ZmqTransport::connect(Text address, LinkEvents& events, Link** out, Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  if (stopped_) return done.finish({Code::closed, 0, "connect"});
  const std::string endpoint = endpoint_of(address.view(), false);
  if (endpoint.empty()) return done.finish({Code::invalid, 0, "address: expected host:port or ipc://path"});
  if (links_.size() >= config_.links_max) return done.finish({Code::busy, 0, "connect: too many links"});
  links_.push_back(std::make_unique<ZmqLink>(*this, events, out, done));
  ZmqLink& link = *links_.back();
  if (const Status status = link.connect(endpoint); !status.ok()) link.end(status);
  return Submitted::pending;
}

void ZmqTransport::cancel(Completion& pending) noexcept {
  if (pending.plugin_slot[0] != nullptr) static_cast<ZmqLink*>(pending.plugin_slot[0])->cancel(pending);
}

Submitted ZmqTransport::stop(Completion& done) noexcept {
  done.plugin_slot[0] = nullptr;
  stopped_ = true;
  stopping_ = &done;
  for (auto& listener : listeners_) listener->stop_listening();
  for (std::size_t i = 0; i < links_.size(); ++i) links_[i]->end({Code::closed, 0, "the transport was stopped"});
  check_stopped();
  return Submitted::pending;
}

bool ZmqTransport::links_quiet() const noexcept {
  return std::all_of(links_.begin(), links_.end(), [](const auto& link) { return link->quiet(); });
}

// First the links, which may still say goodbye through their listeners, then these, then the context, which waits for
// what is on its way.
void ZmqTransport::check_stopped() noexcept {
  if (stopping_ == nullptr || ending_ || !links_quiet()) return;
  if (!std::exchange(sockets_closed_, true)) {
    for (auto& listener : listeners_) listener->close();
    if (key_check_ != nullptr) key_check_->close();
  }
  const bool quiet = std::all_of(listeners_.begin(), listeners_.end(), [](const auto& l) { return l->quiet(); });
  if (!quiet || (key_check_ != nullptr && !key_check_->quiet())) return;
  ending_ = true;
  end_job_.context = &context_;
  end_job_.run = [](Job* job) noexcept { static_cast<EndJob*>(job)->context->close(); };
  ended_.pending = true;
  host_.run_blocking(end_job_, ended_);
}

void ZmqTransport::on_ended() noexcept { host_.complete(*std::exchange(stopping_, nullptr), kOk, 0); }

void ZmqTransport::destroy() noexcept { delete this; }

TransportLimits ZmqTransport::limits() const noexcept {
  TransportLimits limits;
  limits.head_bytes_max = config_.head_bytes;
  limits.eager_bytes_max = config_.eager_bytes;
  limits.parts_max = kPartsMax;
  limits.bulk_bytes_max = kBulkBytesMax;
  return limits;
}

std::uint64_t ZmqTransport::token() noexcept {
  std::uint64_t token = 0;
  while (token == 0) host_.random(MutableBytes(&token, sizeof token));
  return token;
}

ZmqLink* ZmqTransport::add_link(ZmqListener& listener, const std::string& peer) {
  if (stopped_ || links_.size() >= config_.links_max) return nullptr;
  links_.push_back(std::make_unique<ZmqLink>(*this, listener, peer));
  return links_.back().get();
}

void ZmqTransport::remove_link(ZmqLink& link) noexcept {
  const auto found =
      std::find_if(links_.begin(), links_.end(), [&link](const auto& own) { return own.get() == &link; });
  const std::unique_ptr<ZmqLink> gone = std::move(*found);
  links_.erase(found);
}

void ZmqTransport::log(Level level, const char* format, ...) noexcept {
  char line[512] = "zmq: ";
  constexpr std::size_t kPrefix = 5;
  va_list arguments;
  va_start(arguments, format);
  const int wanted = std::vsnprintf(line + kPrefix, sizeof line - kPrefix, format, arguments);
  va_end(arguments);
  if (wanted < 0) return;
  host_.log(level, Text(line, std::min(sizeof line - 1, kPrefix + static_cast<std::size_t>(wanted))));
}

}  // namespace rideau::zeromq
