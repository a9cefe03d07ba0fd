// SPDX-License-Identifier: Apache-2.0
#include "plugins/client/fuse_special_files.hpp"

#include "plugins/fs/caller.hpp"

#include <algorithm>
#include <cstdio>
#include <string>

#include <fcntl.h>
#include <sys/syscall.h>

namespace rideau::client {
namespace {

constexpr std::uint32_t kEverything = fs::kWantRead | fs::kWantWrite;

// Calls with a path that do not open what it means. Those that look at a descriptor only never wait for a LOOKUP.
constexpr long kLookingCalls[] = {
#ifdef SYS_stat
    SYS_stat,        SYS_lstat,        SYS_access,
    SYS_rename,      SYS_mkdir,        SYS_rmdir,
    SYS_link,        SYS_unlink,       SYS_symlink,
    SYS_readlink,    SYS_chmod,        SYS_chown,
    SYS_lchown,      SYS_utime,        SYS_utimes,
    SYS_futimesat,   SYS_mknod,
#endif
    SYS_newfstatat,  SYS_statx,        SYS_statfs,
    SYS_faccessat,   SYS_renameat2,    SYS_mkdirat,
    SYS_unlinkat,    SYS_linkat,       SYS_symlinkat,
    SYS_readlinkat,  SYS_fchmodat,     SYS_fchownat,
    SYS_utimensat,   SYS_mknodat,      SYS_truncate,
    SYS_chdir,
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_faccessat2
    SYS_faccessat2,
#endif
    SYS_setxattr,    SYS_lsetxattr,    SYS_getxattr,
    SYS_lgetxattr,   SYS_listxattr,    SYS_llistxattr,
    SYS_removexattr, SYS_lremovexattr, SYS_name_to_handle_at,
    SYS_bind,
};

constexpr long kSendingCalls[] = {SYS_connect, SYS_sendto, SYS_sendmsg, SYS_sendmmsg};

std::uint32_t wanted_by_open(unsigned long flags) {
  if ((flags & O_PATH) != 0) return kEverything;  // the descriptor could be opened later, behind our back
  if ((flags & O_DIRECTORY) == O_DIRECTORY || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) return 0;  // fails
  switch (flags & O_ACCMODE) {
    case O_RDONLY:
      return fs::kWantRead;
    case O_WRONLY:
      return fs::kWantWrite;
    default:
      return kEverything;
  }
}

bool among(const long* first, const long* last, long call) { return std::find(first, last, call) != last; }

}  // namespace

std::optional<std::uint32_t> wanted_of_special_file(std::int32_t process) {
  if (process <= 0) return kEverything;
  const std::string path = "/proc/" + std::to_string(process) + "/syscall";
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return kEverything;
  long call = -1;
  unsigned long arguments[3] = {};
  // "257 0xffffff9c 0x7ffd0c2a 0x80000 …": the number and the arguments; "running" as long as it does not wait.
  const int found = std::fscanf(file, "%ld %lx %lx %lx", &call, &arguments[0], &arguments[1], &arguments[2]);
  const bool runs = found == 0 && std::fgetc(file) == 'r';
  std::fclose(file);
  if (runs) return std::nullopt;
  if (found != 4) return kEverything;
  if (call == SYS_openat) return wanted_by_open(arguments[2]);
#ifdef SYS_open
  if (call == SYS_open) return wanted_by_open(arguments[1]);
#endif
  if (among(std::begin(kSendingCalls), std::end(kSendingCalls), call)) return fs::kWantWrite;
  return among(std::begin(kLookingCalls), std::end(kLookingCalls), call) ? 0 : kEverything;
}

}  // namespace rideau::client
