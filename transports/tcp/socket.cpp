// SPDX-License-Identifier: Apache-2.0
#include "socket.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

namespace rideau::tcp {
namespace {

static_assert(sizeof(IoVec) == sizeof(iovec) && alignof(IoVec) == alignof(iovec));
static_assert(sizeof(sockaddr_storage) <= sizeof(Address::bytes));

Status failure(int error, const char* where) noexcept {
  switch (error) {
    case EADDRINUSE:
      return {Code::exists, error, where};
    case EADDRNOTAVAIL:
      return {Code::not_found, error, where};
    case ECONNREFUSED:
      return {Code::refused, error, where};
    case EACCES:
      return {Code::refused, error, where};
    case ETIMEDOUT:
      return {Code::timed_out, error, where};
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return {Code::busy, error, where};
    default:
      return {Code::io_error, error, where};
  }
}

int set_int(int fd, int level, int name, std::int64_t value) noexcept {
  const int number = static_cast<int>(std::min<std::int64_t>(value, INT_MAX));
  return ::setsockopt(fd, level, name, &number, sizeof number);
}

void set_options(int fd, const SocketOptions& options) noexcept {
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.send_buffer > 0) set_int(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer);
  if (options.receive_buffer > 0) set_int(fd, SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
  if (options.keepalive_ms > 0) {
    // A peer that fell silent is noticed after keepalive idle, and after as long again with unanswered probes.
    const std::int64_t seconds = std::max<std::int64_t>(1, options.keepalive_ms / 1000);
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max<std::int64_t>(1, seconds / 3));
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
    set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 2 * options.keepalive_ms);
  }
}

const sockaddr* as_sockaddr(const Address& address) noexcept {
  return reinterpret_cast<const sockaddr*>(address.bytes);
}

void set_local_options(int fd, const SocketOptions& options) noexcept {
  if (options.send_buffer > 0) set_int(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer);
}

// An abstract name (unix(7)): a zero byte first, and no file anywhere.
socklen_t local_name(const std::string& address, sockaddr_un* name) noexcept {
  const std::string text = "rideau-tcp/" + address;
  *name = {};
  name->sun_family = AF_UNIX;
  const std::size_t size = std::min(text.size(), sizeof name->sun_path - 1);
  std::memcpy(name->sun_path + 1, text.data(), size);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + size);
}

// Whether packets to this address stay in the machine: only own addresses can be bound to.
bool is_own(const Address& address) noexcept {
  Address any_port = address;
  reinterpret_cast<sockaddr_in*>(any_port.bytes)->sin_port = 0;  // at the same place in both families
  const int probe = ::socket(as_sockaddr(address)->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool own = ::bind(probe, as_sockaddr(any_port), any_port.size) == 0;
  ::close(probe);
  return own;
}
static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));

bool is_own_user(int fd) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

int connect_local(const std::string& address, const SocketOptions& options, bool own_user) noexcept {
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return -1;
  set_local_options(made, options);
  sockaddr_un name;
  const socklen_t size = local_name(address, &name);
  int process = 0;
  if (::connect(made, reinterpret_cast<const sockaddr*>(&name), size) == 0 &&
      (own_user ? is_own_user(made) : is_trusted(made, &process))) {
    return made;
  }
  ::close(made);
  return -1;
}

bool met_itself(int fd) noexcept {
  Address here;
  Address there;
  socklen_t here_size = sizeof here.bytes;
  socklen_t there_size = sizeof there.bytes;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(here.bytes), &here_size) != 0) return false;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(there.bytes), &there_size) != 0) return false;
  return here_size == there_size && std::memcmp(here.bytes, there.bytes, here_size) == 0;
}

Status give_up(int fd, int error, const char* where) noexcept {
  ::close(fd);
  return failure(error, where);
}

}  // namespace

Status parse_address(Text text, HostPort* out) {
  const Status bad{Code::invalid, 0, "address: expected host:port or [v6]:port"};
  const std::string_view all = text.view();
  const std::size_t colon = all.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad;
  std::string_view host = all.substr(0, colon);
  const std::string_view port = all.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return bad;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad;
  }
  const bool digits = std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (port.empty() || port.size() > 5 || !digits || std::stoul(std::string(port)) > 65535) return bad;
  out->host = host;
  out->port = port;
  return kOk;
}

Status resolve(const HostPort& name, bool ask, std::vector<Address>* out) {
  addrinfo wish{};
  wish.ai_family = AF_UNSPEC;
  wish.ai_socktype = SOCK_STREAM;
  wish.ai_flags = AI_NUMERICSERV | (ask ? 0 : AI_NUMERICHOST);
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(name.host.c_str(), name.port.c_str(), &wish, &found);
  if (failed == EAI_MEMORY) return {Code::busy, ENOMEM, "resolve a host name"};
  if (failed == EAI_SYSTEM) return {Code::io_error, errno, "resolve a host name"};
  if (failed == EAI_AGAIN) return {Code::io_error, 0, "resolve a host name: the name server does not answer"};
  if (failed != 0) return {Code::not_found, 0, "resolve a host name: no such host"};
  out->clear();
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Address address;
    if (at->ai_addrlen > sizeof address.bytes) continue;
    address.size = at->ai_addrlen;
    std::memcpy(address.bytes, at->ai_addr, at->ai_addrlen);
    out->push_back(address);
  }
  ::freeaddrinfo(found);
  return out->empty() ? Status{Code::not_found, 0, "resolve a host name"} : kOk;
}

std::string address_text(const Address& address) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (::getnameinfo(as_sockaddr(address), address.size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "?";
  }
  const bool v6 = std::strchr(host, ':') != nullptr;
  return (v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

Status open_listener(const Address& address, int* fd, Address* bound) noexcept {
  const int family = as_sockaddr(address)->sa_family;
  const int made = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return failure(errno, "make a socket");
  set_int(made, SOL_SOCKET, SO_REUSEADDR, 1);
  if (family == AF_INET6) set_int(made, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (::bind(made, as_sockaddr(address), address.size) != 0) return give_up(made, errno, "bind to an address");
  if (::listen(made, 1024) != 0) return give_up(made, errno, "listen on an address");
  socklen_t size = sizeof bound->bytes;
  if (::getsockname(made, reinterpret_cast<sockaddr*>(bound->bytes), &size) != 0) {
    return give_up(made, errno, "ask for the bound address");
  }
  bound->size = size;
  *fd = made;
  return kOk;
}

Status accept_one(int listener, const SocketOptions& options, int* fd, Address* peer) noexcept {
  for (;;) {
    socklen_t size = sizeof peer->bytes;
    const int made = ::accept4(listener, reinterpret_cast<sockaddr*>(peer->bytes), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made >= 0) {
      peer->size = size;
      set_options(made, options);
      *fd = made;
      return kOk;
    }
    const int error = errno;
    if (error == EAGAIN || error == EWOULDBLOCK) return {Code::not_found, 0, "accept"};
    // Errors of the connection that was about to be accepted (accept(2)): the next one may be fine.
    if (error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN || error == EHOSTUNREACH)
      continue;
    return failure(error, "accept a connection");
  }
}

Status open_connection(const Address& address, const SocketOptions& options, int* fd) noexcept {
  const int made = ::socket(as_sockaddr(address)->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return failure(errno, "make a socket");
  set_options(made, options);
  *fd = made;
  if (::connect(made, as_sockaddr(address), address.size) == 0) return kOk;
  // An interrupted connect goes on in the background, as one in progress does.
  if (errno == EINPROGRESS || errno == EINTR) return {Code::busy, 0, "connect"};
  return give_up(made, errno, "connect");
}

Status connect_result(int fd) noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0 && met_itself(fd)) error = ECONNREFUSED;
  return error == 0 ? kOk : failure(error, "connect");
}

IoResult read_parts(int fd, const IoVec* parts, std::uint32_t count) noexcept {
  for (;;) {
    const ssize_t got = count == 1 ? ::recv(fd, parts[0].base, parts[0].size, 0)
                                   : ::readv(fd, reinterpret_cast<const iovec*>(parts), static_cast<int>(count));
    if (got >= 0) return {static_cast<std::size_t>(got), 0};
    if (errno != EINTR) return {0, errno == EWOULDBLOCK ? EAGAIN : errno};
  }
}

IoResult write_parts(int fd, const IoVec* parts, std::uint32_t count) noexcept {
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(reinterpret_cast<const iovec*>(parts));
  message.msg_iovlen = count;
  for (;;) {
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent >= 0) return {static_cast<std::size_t>(sent), 0};
    if (errno != EINTR) return {0, errno == EWOULDBLOCK ? EAGAIN : errno};
  }
}

void close_socket(int fd) noexcept { ::close(fd); }

int look_at_file(const char* path, bool secret) noexcept {
  const int file = ::open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return errno;
  struct stat about {};
  int result = ::fstat(file, &about) == 0 ? 0 : errno;
  if (result == 0 && secret && (about.st_mode & 077) != 0) result = -1;
  ::close(file);
  return result;
}

Status open_local_listener(const Address& bound, const SocketOptions& options, int* fd) noexcept {
  const int made = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (made < 0) return failure(errno, "make a Unix socket");
  set_local_options(made, options);
  sockaddr_un name;
  const socklen_t size = local_name(address_text(bound), &name);
  if (::bind(made, reinterpret_cast<const sockaddr*>(&name), size) != 0)
    return give_up(made, errno, "bind a Unix socket");
  if (::listen(made, 1024) != 0) return give_up(made, errno, "listen on a Unix socket");
  *fd = made;
  return kOk;
}

Status accept_local(int listener, const SocketOptions& options, int* fd) noexcept {
  for (;;) {
    const int made = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (made >= 0) {
      set_local_options(made, options);
      *fd = made;
      return kOk;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Code::not_found, 0, "accept"};
    return failure(errno, "accept a connection");
  }
}

Status open_local_connection(const Address& address, const SocketOptions& options, bool own_user, int* fd) noexcept {
  *fd = connect_local(address_text(address), options, own_user);
  if (*fd < 0 && is_own(address)) {
    // Who listens on every address of this machine.
    Address any{};
    any.size = address.size;
    std::memcpy(any.bytes, address.bytes, offsetof(sockaddr_in, sin_addr));  // family and port
    *fd = connect_local(address_text(any), options, own_user);
  }
  return *fd >= 0 ? kOk : Status{Code::not_found, 0, "connect within this machine"};
}

bool is_trusted(int fd, int* process) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  *process = peer.pid;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

IoResult write_with_descriptors(int fd, const IoVec* parts, std::uint32_t count, const int* sent) noexcept {
  alignas(cmsghdr) char control[CMSG_SPACE(kDescriptorsSent * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(reinterpret_cast<const iovec*>(parts));
  message.msg_iovlen = count;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(kDescriptorsSent * sizeof(int));
  std::memcpy(CMSG_DATA(head), sent, kDescriptorsSent * sizeof(int));
  for (;;) {
    const ssize_t done = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (done >= 0) return {static_cast<std::size_t>(done), 0};
    if (errno != EINTR) return {0, errno == EWOULDBLOCK ? EAGAIN : errno};
  }
}

IoResult read_with_descriptors(int fd, const IoVec* parts, std::uint32_t count, int* received) noexcept {
  // The kernel closes what there is no room for.
  alignas(cmsghdr) char control[CMSG_SPACE(kDescriptorsSent * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(reinterpret_cast<const iovec*>(parts));
  message.msg_iovlen = count;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t done = -1;
  do {
    done = ::recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  } while (done < 0 && errno == EINTR);
  if (done < 0) return {0, errno == EWOULDBLOCK ? EAGAIN : errno};
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t here = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < here; ++i) {
      int one = -1;
      std::memcpy(&one, CMSG_DATA(head) + i * sizeof one, sizeof one);
      int* place = std::find(received, received + kDescriptorsSent, -1);
      if (place == received + kDescriptorsSent) {
        ::close(one);
      } else {
        *place = one;
      }
    }
  }
  return {static_cast<std::size_t>(done), 0};
}

int make_file(const char* name, std::uint64_t bytes, void** mapped) noexcept {
  const int made = ::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (made < 0) return -1;
  if (::ftruncate(made, static_cast<off_t>(bytes)) == 0 &&
      ::fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
    std::uint64_t size = 0;
    *mapped = map_file(made, &size);
    if (*mapped != nullptr) return made;
  }
  ::close(made);
  return -1;
}

void* map_file(int fd, std::uint64_t* bytes) noexcept {
  struct stat about {};
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(fd, &about) != 0 || about.st_size <= 0) return nullptr;
  *bytes = static_cast<std::uint64_t>(about.st_size);
  void* mapped = ::mmap(nullptr, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
  if (mapped == MAP_FAILED) return nullptr;
  ::madvise(mapped, *bytes, MADV_DONTDUMP);
  return mapped;
}

void unmap_file(void* mapped, std::uint64_t bytes) noexcept { ::munmap(mapped, bytes); }

}  // namespace rideau::tcp
