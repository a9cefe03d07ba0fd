// SPDX-License-Identifier: Apache-2.0
#include "listener.hpp"

#include "transport.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace rideau::zeromq {
namespace {

// ZeroMQ tells that a connection ended a moment before the socket knows it.
constexpr std::uint32_t kProbes = 4;
constexpr std::uint64_t kProbeNs = 10'000'000;

// No others: when libzmq 4.3.4 tells of bytes that cannot be decrypted it forgets meanwhile that they are an error. It
// would keep such a connection, and never say that it ended.
constexpr int kEvents = ZMQ_EVENT_DISCONNECTED;

// ZeroMQ would take the path of a socket from whoever listens on it; one that nobody listens on may be taken.
bool somebody_listens(const std::string& endpoint) noexcept {
  constexpr std::string_view kIpc = "ipc://";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!endpoint.starts_with(kIpc) || endpoint.size() - kIpc.size() >= sizeof address.sun_path) return false;
  const std::string path = endpoint.substr(kIpc.size());
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path[0] == '@') address.sun_path[0] = 0;
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  const bool answered = probe >= 0 && ::connect(probe, reinterpret_cast<sockaddr*>(&address), size) == 0;
  const bool full = !answered && errno == EAGAIN;
  if (probe >= 0) ::close(probe);
  return answered || full;
}

}  // namespace

ZmqListener::Monitor::Monitor(ZmqListener& its_listener) noexcept
    : listener(its_listener), socket(its_listener.transport_.host(), *this) {}

ZmqListener::ZmqListener(ZmqTransport& transport, LinkEvents& events)
    : transport_(transport), events_(events), socket_(transport.host(), *this), monitor_(*this) {}

Status ZmqListener::open(const std::string& endpoint, std::string* bound) {
  if (somebody_listens(endpoint)) return {Code::exists, EADDRINUSE, "listen"};
  const std::string place = "inproc://monitor-" + std::to_string(transport_.next_number());
  int error = socket_.open(transport_.context(), zmq::socket_type::router);
  if (error == 0) error = monitor_.socket.open(transport_.context(), zmq::socket_type::pair);
  if (error == 0) {
    error = socket_.change([&](zmq::socket_t& socket) {
      transport_.set_options(socket, endpoint);
      transport_.set_server_options(socket);
      socket.set(zmq::sockopt::router_mandatory, 1);
      if (zmq_socket_monitor(socket.handle(), place.c_str(), kEvents) != 0) throw zmq::error_t();
      monitor_.socket.raw().connect(place);
      socket.bind(endpoint);
      *bound = socket.get(zmq::sockopt::last_endpoint);
    });
  }
  if (error == EADDRINUSE) return {Code::exists, error, "listen"};
  if (error == EINVAL || error == EPROTONOSUPPORT || error == ENODEV)
    return {Code::invalid, error, "listen: no such address"};
  if (error == EACCES) return {Code::refused, error, "listen"};
  if (error != 0) return {Code::io_error, error, "listen"};
  socket_.watch();
  monitor_.socket.watch();
  return kOk;
}

void ZmqListener::close() noexcept {
  closed_ = true;
  listening_ = false;
  socket_.close();
  monitor_.socket.close();
  if (probe_.pending) transport_.host().cancel(probe_);
}

bool ZmqListener::quiet() const noexcept { return socket_.quiet() && monitor_.socket.quiet() && !probe_.pending; }

void ZmqListener::on_quiet() noexcept { transport_.check_stopped(); }

void ZmqListener::on_readable() noexcept {
  for (std::uint32_t i = 0; i < kFramesPerTurn && !closed_; ++i) {
    std::string peer;
    zmq::message_t frame;
    bool extra = false;
    if (!socket_.receive(&peer, &frame, &extra)) return;
    const auto known = links_.find(peer);
    if (known != links_.end()) {
      known->second->take(frame, extra);
    } else {
      greet(peer, frame, extra);
    }
  }
}

// The first frame of a peer, or what comes after its link has ended, which is dropped.
void ZmqListener::greet(const std::string& peer, const zmq::message_t& frame, bool extra) noexcept {
  monitor_.on_readable();  // what it tells of this descriptor so far was of another connection
  shaken_.insert(zmq_msg_get(const_cast<zmq_msg_t*>(frame.handle()), ZMQ_SRCFD));
  FrameView view;
  const char* fault = extra ? "a message of several parts"
                            : read_frame(frame, transport_.config().head_bytes, transport_.config().eager_bytes, &view);
  if (fault != nullptr) {
    transport_.log(Level::warning, "a peer that did not greet was refused: %s", fault);
    refuse(peer, Code::corrupt);
    return;
  }
  if (view.header.type != FrameType::hello) return;
  const auto hello = view.head_as<Hello>();
  if (hello.version != kProtocolVersion) {
    transport_.log(Level::warning, "a peer speaks version %u, this is version %u", hello.version, kProtocolVersion);
    refuse(peer, Code::refused);
    return;
  }
  ZmqLink* link = listening_ ? transport_.add_link(*this, peer) : nullptr;
  if (link == nullptr) {
    refuse(peer, Code::refused);
    return;
  }
  links_.emplace(peer, link);
  link->accept(hello);
  link->begin(events_.on_link(*link));
}

void ZmqListener::refuse(const std::string& peer, Code why) noexcept {
  const PullEnd end{static_cast<std::int32_t>(why), 0};
  static_cast<void>(socket_.send(peer, make_frame(FrameType::bye, 0, end)));
}

void ZmqListener::Monitor::on_readable() noexcept {
  for (;;) {
    zmq::message_t event;
    bool extra = false;
    if (!socket.receive(nullptr, &event, &extra)) return;
    std::int32_t descriptor = 0;
    if (event.size() != sizeof(std::uint16_t) + sizeof descriptor) continue;
    std::memcpy(&descriptor, event.data<std::uint8_t>() + sizeof(std::uint16_t), sizeof descriptor);
    if (listener.shaken_.erase(descriptor) == 0) {
      listener.transport_.log(Level::warning,
                              "a connection was refused: it ended in the handshake (a wrong key, or no peer of ours)");
    }
    listener.probe_later();
  }
}

void ZmqListener::probe_later() noexcept {
  probes_left_ = kProbes;
  if (probe_.pending || closed_) return;
  probe_.pending = transport_.host().sleep(0, probe_) == Submitted::pending;
}

void ZmqListener::on_probe() noexcept {
  if (closed_) {
    on_quiet();
    return;
  }
  std::vector<ZmqLink*> all;
  for (const auto& [peer, link] : links_) all.push_back(link);
  for (ZmqLink* link : all) link->probe();
  if (--probes_left_ == 0) return;
  probe_.pending = transport_.host().sleep(kProbeNs, probe_) == Submitted::pending;
}

}  // namespace rideau::zeromq
