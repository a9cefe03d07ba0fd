// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/bare_socket.hpp"

#include "tests/bench/measuring.hpp"

#include <cstdio>
#include <cstdlib>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rideau {
namespace {

void write_all(int fd, const void* bytes, std::size_t size) {
  for (std::size_t at = 0; at < size;) {
    const ssize_t count = ::send(fd, static_cast<const char*>(bytes) + at, size - at, MSG_NOSIGNAL);
    must(count > 0, "the bare socket failed");
    at += static_cast<std::size_t>(count);
  }
}

// False: the other side is done.
bool read_all(int fd, void* bytes, std::size_t size) {
  for (std::size_t at = 0; at < size;) {
    const ssize_t count = ::recv(fd, static_cast<char*>(bytes) + at, size - at, 0);
    if (count == 0) return false;
    must(count > 0, "the bare socket failed");
    at += static_cast<std::size_t>(count);
  }
  return true;
}

// The other end of the bare socket: echoes messages, and takes bulk when a message says how much comes.
[[noreturn]] void serve_bare(int fd, std::uint32_t mib) {
  std::vector<std::uint8_t> buffer(kBulkBytes);
  Message message;
  while (read_all(fd, message.data(), message.size())) {
    bool whole = true;
    if (message[0] == static_cast<std::uint8_t>(Ask::pull)) {
      for (std::uint32_t i = 0; whole && i < mib; ++i) whole = read_all(fd, buffer.data(), buffer.size());
    }
    if (!whole) break;
    write_all(fd, message.data(), message.size());
  }
  std::_Exit(0);
}

// Both ends of a TCP connection over loopback.
void connect_tcp(int ends[2]) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  must(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0 && ::listen(listener, 1) == 0,
       "no bare socket");
  must(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0, "no bare socket");
  ends[0] = ::socket(AF_INET, SOCK_STREAM, 0);
  must(::connect(ends[0], reinterpret_cast<sockaddr*>(&address), size) == 0, "no bare socket");
  ends[1] = ::accept(listener, nullptr, nullptr);
  const int on = 1;
  for (const int end : {ends[0], ends[1]}) {
    must(::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "no bare socket");
  }
  ::close(listener);
}

}  // namespace

Message message_of(Ask ask) {
  Message message{};
  message[0] = static_cast<std::uint8_t>(ask);
  return message;
}

int connect_bare(bool unix_socket, std::uint32_t mib) {
  int ends[2] = {-1, -1};
  if (!unix_socket) {
    connect_tcp(ends);
  } else {
    must(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "no bare socket");
  }
  const pid_t other = ::fork();
  must(other >= 0, "no process for the bare socket");
  if (other == 0) {
    ::close(ends[0]);
    serve_bare(ends[1], mib);
  }
  ::close(ends[1]);
  return ends[0];
}

static void read_answer(int fd, Message& message) {
  must(read_all(fd, message.data(), message.size()), "the other end of the bare socket is gone");
}

Figures measure_bare(int fd, const Amounts& amounts) {
  Figures figures;
  Message message = message_of(Ask::echo);
  const std::uint32_t trips = amounts.messages / 10;
  auto begin = Clock::now();
  for (std::uint32_t i = 0; i < trips; ++i) {
    write_all(fd, message.data(), message.size());
    read_answer(fd, message);
  }
  figures.round_trips = trips / seconds_since(begin);
  begin = Clock::now();
  for (std::size_t i = 0; i < kInFlight; ++i) write_all(fd, message.data(), message.size());
  for (std::uint32_t i = kInFlight; i < amounts.messages + kInFlight; ++i) {
    read_answer(fd, message);
    if (i < amounts.messages) write_all(fd, message.data(), message.size());
  }
  figures.messages = amounts.messages / seconds_since(begin);
  const std::vector<std::uint8_t> bytes(kBulkBytes, 7);
  message = message_of(Ask::pull);
  begin = Clock::now();
  write_all(fd, message.data(), message.size());
  for (std::uint32_t i = 0; i < amounts.mib; ++i) write_all(fd, bytes.data(), bytes.size());
  read_answer(fd, message);
  figures.mib = amounts.mib / seconds_since(begin);
  return figures;
}

}  // namespace rideau
