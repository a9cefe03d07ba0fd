// SPDX-License-Identifier: Apache-2.0
#include "sockets.hpp"

#include <cerrno>
#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace minimal {
namespace {

sockaddr_in as_socket_address(const Place& place) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = place.address;
  out.sin_port = place.port;
  return out;
}

int new_socket(int* fd) {
  *fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return *fd < 0 ? errno : 0;
}

void send_at_once(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int failed(int* fd, int error) {
  ::close(*fd);
  *fd = -1;
  return error;
}

}  // namespace

bool parse(rideau::Text text, Place* out) {
  const std::string all(text.view());
  const std::size_t colon = all.rfind(':');
  if (colon == std::string::npos || colon + 1 == all.size()) return false;
  char* end = nullptr;
  const unsigned long port = std::strtoul(all.c_str() + colon + 1, &end, 10);
  if (*end != '\0' || port > 65535) return false;
  out->port = htons(static_cast<std::uint16_t>(port));
  return ::inet_pton(AF_INET, all.substr(0, colon).c_str(), &out->address) == 1;
}

std::string text_of(const Place& place) {
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &place.address, text, sizeof text);
  return std::string(text) + ":" + std::to_string(ntohs(place.port));
}

int listen_on(const Place& place, int* fd, Place* bound) {
  if (const int error = new_socket(fd); error != 0) return error;
  const int on = 1;
  ::setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address = as_socket_address(place);
  socklen_t size = sizeof address;
  if (::bind(*fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(*fd, 128) != 0 ||
      ::getsockname(*fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return failed(fd, errno);
  }
  *bound = Place{address.sin_addr.s_addr, address.sin_port};
  return 0;
}

int accept_from(int listener, int* fd) {
  *fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (*fd < 0) return errno;
  send_at_once(*fd);
  return 0;
}

int connect_to(const Place& place, int* fd) {
  if (const int error = new_socket(fd); error != 0) return error;
  send_at_once(*fd);
  const sockaddr_in address = as_socket_address(place);
  if (::connect(*fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return 0;
  return errno == EINPROGRESS ? EINPROGRESS : failed(fd, errno);
}

// A connection can meet itself where nobody listens on a port that the system gives to connections.
int connect_result(int fd) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  if (error != 0) return error;
  sockaddr_in own{};
  sockaddr_in far{};
  socklen_t own_size = sizeof own;
  socklen_t far_size = sizeof far;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0 ||
      ::getpeername(fd, reinterpret_cast<sockaddr*>(&far), &far_size) != 0) {
    return errno;
  }
  const bool itself = own.sin_port == far.sin_port && own.sin_addr.s_addr == far.sin_addr.s_addr;
  return itself ? ECONNREFUSED : 0;
}

int read_some(int fd, void* to, std::size_t size, std::size_t* got) {
  const ssize_t count = ::recv(fd, to, size, 0);
  *got = count > 0 ? static_cast<std::size_t>(count) : 0;
  return count < 0 ? errno : 0;
}

int write_some(int fd, const void* from, std::size_t size, std::size_t* took) {
  const ssize_t count = ::send(fd, from, size, MSG_NOSIGNAL);
  *took = count > 0 ? static_cast<std::size_t>(count) : 0;
  return count < 0 ? errno : 0;
}

void close_socket(int fd) { ::close(fd); }

}  // namespace minimal
