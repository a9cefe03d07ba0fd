// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/relay_socket.hpp"

#include <cerrno>
#include <cstddef>
#include <cstring>

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace rideau::relay {
namespace {

constexpr std::size_t kFilesMost = 8;

struct Place {
  sockaddr_storage address{};
  socklen_t size = 0;  // 0: the text names none
};

Place parse(const std::string& text) {
  Place place;
  if (text.size() > 1 && (text[0] == '@' || text[0] == '/')) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (text.size() >= sizeof name.sun_path) return place;
    std::memcpy(name.sun_path, text.data(), text.size());
    if (text[0] == '@') name.sun_path[0] = 0;
    std::memcpy(&place.address, &name, sizeof name);
    place.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size());
    return place;
  }
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return place;
  std::string host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), text.c_str() + colon + 1, &hints, &found) != 0) return place;
  std::memcpy(&place.address, found->ai_addr, found->ai_addrlen);
  place.size = found->ai_addrlen;
  ::freeaddrinfo(found);
  return place;
}

std::string text_of(const std::string& wanted, const Place& place) {
  if (place.address.ss_family == AF_UNIX) return wanted;
  char host[64] = "";
  char port[8] = "";
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&place.address), place.size, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
  const std::string name = place.address.ss_family == AF_INET6 ? "[" + std::string(host) + "]" : host;
  return name + ":" + port;
}

Opened open_socket(const Place& place) {
  if (place.size == 0) return {-1, EINVAL, {}};
  const int fd = ::socket(place.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return {-1, errno, {}};
  const int on = 1;
  if (place.address.ss_family != AF_UNIX) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return {fd, 0, {}};
}

Opened failed(int fd) {
  const int error = errno;
  ::close(fd);
  return {-1, error, {}};
}

}  // namespace

Opened listen_at(const std::string& text) {
  Place place = parse(text);
  Opened made = open_socket(place);
  if (made.fd < 0) return made;
  if (::bind(made.fd, reinterpret_cast<const sockaddr*>(&place.address), place.size) != 0) return failed(made.fd);
  if (::listen(made.fd, 64) != 0) return failed(made.fd);
  place.size = sizeof place.address;
  if (::getsockname(made.fd, reinterpret_cast<sockaddr*>(&place.address), &place.size) != 0) return failed(made.fd);
  made.place = text_of(text, place);
  return made;
}

Opened connect_to(const std::string& text) {
  const Place place = parse(text);
  Opened made = open_socket(place);
  if (made.fd < 0) return made;
  const int done = ::connect(made.fd, reinterpret_cast<const sockaddr*>(&place.address), place.size);
  return done == 0 || errno == EINPROGRESS ? made : failed(made.fd);
}

int accept_one(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  const int on = 1;
  if (fd >= 0) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // a Unix socket has none, and needs none
  return fd;
}

Moved read_some(int fd, MutableBytes into, std::vector<int>* files) {
  iovec part{into.data, into.size};
  alignas(cmsghdr) char control[CMSG_SPACE(kFilesMost * sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) return {0, errno};
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const std::size_t before = files->size();
    files->resize(before + count);
    std::memcpy(files->data() + before, CMSG_DATA(at), count * sizeof(int));
  }
  return {static_cast<std::size_t>(got), 0};
}

Moved write_some(int fd, Bytes from, std::vector<int>* files) {
  iovec part{const_cast<std::uint8_t*>(from.data), from.size};
  alignas(cmsghdr) char control[CMSG_SPACE(kFilesMost * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!files->empty() && files->size() <= kFilesMost) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(files->size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(files->size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), files->data(), files->size() * sizeof(int));
  }
  const ssize_t put = ::sendmsg(fd, &message, MSG_NOSIGNAL);
  if (put < 0) return {0, errno};
  for (const int file : *files) ::close(file);
  files->clear();
  return {static_cast<std::size_t>(put), 0};
}

void end_writing(int fd) { ::shutdown(fd, SHUT_WR); }

void close_socket(int fd) { ::close(fd); }

}  // namespace rideau::relay
