// SPDX-License-Identifier: Apache-2.0
// The system calls of the relay: sockets on this machine, none of which waits. A place is "number:port", "[v6]:port",
// "/path", a Unix socket, or "@name", one without a file. Descriptors that travel beside the bytes of these are passed
// on.
#pragma once

#include "rideau/buffer.hpp"

#include <string>
#include <vector>

namespace rideau::relay {

struct Opened {
  int fd = -1;
  int error = 0;      // errno, where fd is -1
  std::string place;  // where it listens
};

struct Moved {
  std::size_t bytes = 0;
  int error = 0;  // EAGAIN: later. 0 and no bytes, of a read: the end
};

// Port 0: any.
Opened listen_at(const std::string& place);
// The connection may still be under way: it can be written to when there is one.
Opened connect_to(const std::string& place);
int accept_one(int listener);  // -1: none

// `files` gets, or gives, the descriptors beside the first byte.
Moved read_some(int fd, MutableBytes into, std::vector<int>* files);
Moved write_some(int fd, Bytes from, std::vector<int>* files);
void end_writing(int fd);
void close_socket(int fd);

}  // namespace rideau::relay
