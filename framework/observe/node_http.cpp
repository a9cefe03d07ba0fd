// SPDX-License-Identifier: Apache-2.0
#include "framework/observe/node_http.hpp"

#include "rideau/host.hpp"

#include <cerrno>
#include <cstring>
#include <sstream>
#include <utility>

#include <arpa/inet.h>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace rideau {
namespace {

namespace http = boost::beast::http;

std::string system_error(const std::string& what) { return what + ": " + std::strerror(errno); }

// "host:port", the host numeric and in brackets when it is of version 6.
bool split_address(const std::string& text, std::string* host, std::string* port) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return false;
  *host = text.substr(0, colon);
  *port = text.substr(colon + 1);
  if (host->size() > 2 && host->front() == '[' && host->back() == ']') *host = host->substr(1, host->size() - 2);
  return true;
}

std::string bound_address(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  const bool known = ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
                     ::getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof host, port, sizeof port,
                                   NI_NUMERICHOST | NI_NUMERICSERV) == 0;
  if (!known) return "?";
  const bool v6 = std::strchr(host, ':') != nullptr;
  return (v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

std::string answer_text(const HttpAnswer& answer) {
  http::response<http::string_body> response;
  response.version(11);
  response.result(answer.status);
  response.set(http::field::content_type, answer.type);
  response.set(http::field::connection, "close");
  response.body() = answer.body;
  response.prepare_payload();
  std::ostringstream text;
  text << response;
  return std::move(text).str();
}

}  // namespace

// The descriptor of one request; closed with this, and shut down when the request takes too long.
struct HttpListener::Connection {
  Connection(Runtime& world, int open)
      : runtime(world), descriptor(open), alarm(world, [this] { ::shutdown(descriptor, SHUT_RDWR); }) {
    alarm.set(kRequestMs * kMillisecond);
  }
  ~Connection() {
    runtime.forget_fd(descriptor);
    ::close(descriptor);
  }
  Task<bool> ready(std::uint32_t events) {
    const int fd = descriptor;
    const Outcome woken = co_await submit([this, fd, events](Completion& c) { return runtime.wait_fd(fd, events, c); });
    co_return woken.ok();
  }
  Runtime& runtime;
  int descriptor;
  Alarm alarm;
};

HttpListener::HttpListener(Runtime& runtime, Logger& log, Handler handler)
    : runtime_(runtime), log_(log), handler_(std::move(handler)), changed_(runtime), tasks_(runtime) {}

HttpListener::~HttpListener() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool HttpListener::listen_tcp(const std::string& address, std::string* bound, std::string* why) {
  std::string host;
  std::string port;
  addrinfo wish{};
  wish.ai_family = AF_UNSPEC;
  wish.ai_socktype = SOCK_STREAM;
  wish.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  addrinfo* found = nullptr;
  if (!split_address(address, &host, &port) || ::getaddrinfo(host.c_str(), port.c_str(), &wish, &found) != 0) {
    *why = "\"" + address + "\" is no numeric address with a port, such as \"127.0.0.1:9180\"";
    return false;
  }
  const int made = ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int yes = 1;
  const bool usable = made >= 0 && ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
                      ::bind(made, found->ai_addr, found->ai_addrlen) == 0;
  if (!usable) *why = system_error("cannot listen on " + address);
  ::freeaddrinfo(found);
  if (!usable) {
    if (made >= 0) ::close(made);
    return false;
  }
  if (!begin(made, why)) return false;
  if (bound != nullptr) *bound = bound_address(made);
  return true;
}

bool HttpListener::listen_local(const std::string& path, std::string* why) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    *why = path + " is too long for a socket: at most " + std::to_string(sizeof address.sun_path - 1) + " bytes";
    return false;
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  ::unlink(path.c_str());
  const mode_t before = ::umask(0177);
  const bool usable = made >= 0 && ::bind(made, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  if (!usable) *why = system_error("cannot make the socket " + path);
  ::umask(before);
  if (!usable) {
    if (made >= 0) ::close(made);
    return false;
  }
  path_ = path;
  return begin(made, why);
}

bool HttpListener::begin(int descriptor, std::string* why) {
  descriptor_ = descriptor;
  if (::listen(descriptor, 64) != 0) {
    *why = system_error("cannot listen");
    return false;
  }
  tasks_.spawn(accept_all());
  return true;
}

Task<> HttpListener::accept_all() {
  while (!stopping_) {
    if (connections_ >= kConnectionsMax) {
      co_await changed_.wait();
      continue;
    }
    const int made = ::accept4(descriptor_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made >= 0) {
      ++connections_;
      tasks_.spawn(serve(made));
      continue;
    }
    if (errno == EMFILE || errno == ENFILE) {
      log_.warning("a request for metrics or control waits: %s", std::strerror(errno));
      co_await sleep_for(runtime_, kSecond);
      continue;
    }
    const int fd = descriptor_;
    const Outcome woken =
        co_await submit([this, fd](Completion& done) { return runtime_.wait_fd(fd, kWaitReadable, done); });
    if (!woken.ok()) break;
  }
}

Task<> HttpListener::serve(int descriptor) {
  {
    Connection connection(runtime_, descriptor);
    http::request_parser<http::string_body> parser;
    parser.body_limit(kRequestBytesMax);
    parser.header_limit(kRequestBytesMax);
    parser.eager(true);
    std::string bytes;
    bool broken = false;
    while (!broken && !parser.is_done()) {
      char part[4096];
      const ssize_t size = ::recv(descriptor, part, sizeof part, 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        const bool more = co_await connection.ready(kWaitReadable);
        broken = !more;
        continue;
      }
      broken = size <= 0 || bytes.size() > 2 * kRequestBytesMax;
      if (broken) break;
      bytes.append(part, static_cast<std::size_t>(size));
      boost::beast::error_code error;
      const std::size_t used = parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
      bytes.erase(0, used);
      broken = error && error != http::error::need_more;
    }
    HttpAnswer answer;
    if (broken) {
      answer = {400, "text/plain; charset=utf-8", "this is no request that can be answered here\n"};
    } else {
      HttpRequest request;
      request.method = std::string(parser.get().method_string());
      request.path = std::string(parser.get().target());
      request.body = parser.get().body();
      connection.alarm.clear();  // what is asked for may take its time
      answer = co_await handler_(std::move(request));
      connection.alarm.set(kRequestMs * kMillisecond);
    }
    const std::string text = answer_text(answer);
    std::size_t sent = 0;
    while (sent < text.size()) {
      const ssize_t size = ::send(descriptor, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (size > 0) {
        sent += static_cast<std::size_t>(size);
        continue;
      }
      if (size < 0 && errno == EINTR) continue;
      if (size == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) break;
      const bool room = co_await connection.ready(kWaitWritable);
      if (!room) break;
    }
  }
  --connections_;
  changed_.wake_all();
}

Task<> HttpListener::stop() {
  stopping_ = true;
  if (descriptor_ >= 0) runtime_.forget_fd(descriptor_);
  changed_.wake_all();
  co_await tasks_.join();
  if (!path_.empty()) ::unlink(path_.c_str());
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

}  // namespace rideau
