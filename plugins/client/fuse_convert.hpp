// SPDX-License-Identifier: Apache-2.0
// Attributes and flags of the file system in the shapes of system calls, and back. Plain functions, for any adapter.
#pragma once

#include "plugins/fs/inode.hpp"
#include "plugins/fs/meta_calls.hpp"

#include <cstdint>

#include <fcntl.h>
#include <sys/stat.h>

namespace rideau::client {

// FMODE_EXEC of Linux: how an open for execve arrives.
constexpr int kOpenForExec = 0x20;

void fill_stat(const fs::Inode& inode, struct stat* out);
// Flags of open(2) as fs::OpenFlags.
std::uint32_t open_flags(int flags);
// Since 1970. A time that 64 bits of nanoseconds cannot say (before 1678, after 2262) becomes the nearest whole second
// that they can.
std::int64_t nanoseconds(const struct timespec& time);

}  // namespace rideau::client
