// SPDX-License-Identifier: Apache-2.0
// Who asks: the ids that permissions are decided with. Supplementary groups cost the client a system call, so they are
// sent only when a decision hangs on them: the server then answers groups_wanted, and the client asks again with them.
#pragma once

#include "framework/base/result.hpp"

#include <cerrno>
#include <cstdint>
#include <vector>

#include <sys/types.h>

namespace rideau::fs {

struct Inode;

struct Caller {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool groups_known = false;
  std::vector<std::uint32_t> groups;
  std::uint32_t umask = 0;  // permissions that what he makes does not get, unless its directory has a list for that
  std::uint64_t trace_id = 0;
  std::int32_t process = 0;  // on the client, for fetching groups; not sent

  bool is_root() const noexcept { return uid == 0; }
};

constexpr Status kGroupsWanted{Code::check_failed, EACCES, "groups wanted"};
constexpr bool groups_wanted(Status status) noexcept {
  return status.code == Code::check_failed && status.os_error == EACCES;
}

enum Want : std::uint32_t { kWantExecute = 1, kWantWrite = 2, kWantRead = 4 };

// POSIX file access by mode bits and access control list, with root's privileges: ok, EACCES, or kGroupsWanted. One
// decision for server and client.
Status check_access(const Caller& caller, const Inode& inode, std::uint32_t want);
// Whether `gid` is among the caller's groups: ok (yes), EPERM (no), or kGroupsWanted.
Status check_in_group(const Caller& caller, std::uint32_t gid);

}  // namespace rideau::fs
