// SPDX-License-Identifier: Apache-2.0
// Every system call of this driver. Descriptors are non-blocking; failures are values.
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

}  // namespace rideau::tcp
