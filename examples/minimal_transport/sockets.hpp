// SPDX-License-Identifier: Apache-2.0
// Every system call of the plugin: TCP sockets of version 4, non-blocking. Failures are errno values, 0 is success.
#pragma once

#include <rideau/buffer.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace minimal {

struct Place {
  std::uint32_t address = 0;  // both in network order
  std::uint16_t port = 0;
};

bool parse(rideau::Text text, Place* out);
std::string text_of(const Place& place);
int listen_on(const Place& place, int* fd, Place* bound);
int accept_from(int listener, int* fd);       // EAGAIN: nobody waits
int connect_to(const Place& place, int* fd);  // EINPROGRESS: wait until it is writable, then connect_result
int connect_result(int fd);
int read_some(int fd, void* to, std::size_t size, std::size_t* got);  // *got 0 without an error: the end
int write_some(int fd, const void* from, std::size_t size, std::size_t* took);
void close_socket(int fd);

}  // namespace minimal
