// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/fuse_convert.hpp"

#include <limits>

namespace rideau::client {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

// Times before 1970 have negative seconds and positive nanoseconds.
struct timespec to_timespec(std::int64_t ns) {
  struct timespec time {};
  time.tv_sec = ns / kSecondNs;
  time.tv_nsec = ns % kSecondNs;
  if (time.tv_nsec < 0) {
    time.tv_nsec += kSecondNs;
    --time.tv_sec;
  }
  return time;
}

}  // namespace

void fill_stat(const fs::Inode& inode, struct stat* out) {
  *out = {};
  out->st_ino = inode.id;
  out->st_mode = inode.mode;
  out->st_nlink = inode.link_count;
  out->st_uid = inode.uid;
  out->st_gid = inode.gid;
  out->st_rdev = inode.device;
  out->st_size = static_cast<off_t>(inode.size);
  out->st_blocks = static_cast<blkcnt_t>(inode.blocks);
  out->st_blksize = 4096;
  out->st_atim = to_timespec(inode.atime_ns);
  out->st_mtim = to_timespec(inode.mtime_ns);
  out->st_ctim = to_timespec(inode.ctime_ns);
}

std::uint32_t open_flags(int flags) {
  std::uint32_t result = 0;
  const int access = flags & O_ACCMODE;
  if ((flags & kOpenForExec) != 0) {
    result |= fs::kOpenExecute;
  } else if (access != O_WRONLY) {
    result |= fs::kOpenRead;
  }
  if (access != O_RDONLY) result |= fs::kOpenWrite;
  if ((flags & O_TRUNC) != 0) result |= fs::kOpenTruncate;
  if ((flags & O_EXCL) != 0) result |= fs::kOpenExclusive;
  if ((flags & O_APPEND) != 0) result |= fs::kOpenAppend;
  return result;
}

std::int64_t nanoseconds(const struct timespec& time) {
  constexpr std::int64_t kSecondMax = std::numeric_limits<std::int64_t>::max() / kSecondNs;
  if (time.tv_sec >= kSecondMax) return kSecondMax * kSecondNs;
  if (time.tv_sec <= -kSecondMax) return -kSecondMax * kSecondNs;
  return static_cast<std::int64_t>(time.tv_sec) * kSecondNs + time.tv_nsec;
}

}  // namespace rideau::client
