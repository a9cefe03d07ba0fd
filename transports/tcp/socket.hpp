// SPDX-License-Identifier: Apache-2.0
// Every system call of this driver. Descriptors of sockets are non-blocking; failures are values.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/status.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rideau::tcp {

struct SocketOptions {
  std::int64_t send_buffer = 0;  // bytes; 0: the system decides
  std::int64_t receive_buffer = 0;
  std::int64_t keepalive_ms = 0;  // 0: off
};

// A socket address, opaque outside of socket.cpp.
struct Address {
  std::uint32_t size = 0;
  alignas(8) std::uint8_t bytes[128] = {};
};

struct HostPort {
  std::string host;
  std::string port;
};

// "host:port" or "[v6]:port".
Status parse_address(Text text, HostPort* out);
// Without `ask` only numeric addresses are understood (not_found otherwise); with it this may block on a name server.
Status resolve(const HostPort& name, bool ask, std::vector<Address>* out);
std::string address_text(const Address& address);

struct IoResult {
  std::size_t bytes = 0;
  int error = 0;  // 0; EAGAIN: try again when ready
};

Status open_listener(const Address& address, int* fd, Address* bound) noexcept;
// not_found when nobody waits; busy when the process has no descriptors left.
Status accept_one(int listener, const SocketOptions& options, int* fd, Address* peer) noexcept;
// ok: connected; busy: in progress, wait until it is writable and ask connect_result.
Status open_connection(const Address& address, const SocketOptions& options, int* fd) noexcept;
// Also refuses a connection that met itself, which TCP can make when nobody listens on a port of the ephemeral range.
Status connect_result(int fd) noexcept;
IoResult read_parts(int fd, const IoVec* parts, std::uint32_t count) noexcept;
IoResult write_parts(int fd, const IoVec* parts, std::uint32_t count) noexcept;
void close_socket(int fd) noexcept;
// Whether a file can be read, and with `secret` by its owner alone: 0, an errno, or -1 when others can read it too.
int look_at_file(const char* path, bool secret) noexcept;

// Between processes of one machine, or of one network namespace: a Unix socket beside each listening one. Its name is
// made of the address, so it is the kernel that keeps both together: the name belongs to the network namespace as the
// address does, and goes with the process.
Status open_local_listener(const Address& bound, const SocketOptions& options, int* fd) noexcept;
// As accept_one.
Status accept_local(int listener, const SocketOptions& options, int* fd) noexcept;
// not_found when nobody listens there on this machine, or somebody who is not to be trusted; with `own_user` trusted is
// who runs as this process does.
Status open_local_connection(const Address& address, const SocketOptions& options, bool own_user, int* fd) noexcept;
// Whether the process at the other end of a Unix socket runs as root or as this one: it could do with the memory of
// this process what it likes anyway. *process: its number, for people.
bool is_trusted(int fd, int* process) noexcept;

constexpr std::uint32_t kDescriptorsSent = 2;
// With descriptors beside the first byte. What was received in place of missing ones is -1.
IoResult write_with_descriptors(int fd, const IoVec* parts, std::uint32_t count, const int* sent) noexcept;
IoResult read_with_descriptors(int fd, const IoVec* parts, std::uint32_t count, int* received) noexcept;

// A file without a name, of that size for ever, mapped. -1: the system gives none.
int make_file(const char* name, std::uint64_t bytes, void** mapped) noexcept;
// Maps such a file of another process. Null when it could shrink: touching a page that is gone would end this process.
void* map_file(int fd, std::uint64_t* bytes) noexcept;
void unmap_file(void* mapped, std::uint64_t bytes) noexcept;

}  // namespace rideau::tcp
