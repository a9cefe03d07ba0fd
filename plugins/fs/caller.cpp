// SPDX-License-Identifier: Apache-2.0
#include "plugins/fs/caller.hpp"

#include "plugins/fs/inode.hpp"

#include <algorithm>

#include <sys/stat.h>

namespace rideau::fs {

Status check_in_group(const Caller& caller, std::uint32_t gid) {
  if (caller.gid == gid) return kOk;
  if (!caller.groups_known) return kGroupsWanted;
  const bool member = std::find(caller.groups.begin(), caller.groups.end(), gid) != caller.groups.end();
  return member ? kOk : posix_error(EPERM);
}

Status check_access(const Caller& caller, const Inode& inode, std::uint32_t want) {
  const std::uint32_t mode = inode.mode;
  if (caller.is_root()) {
    // Root may do all but execute a file that nobody may execute.
    const bool executable = S_ISDIR(mode) || (mode & 0111) != 0;
    return (want & kWantExecute) == 0 || executable ? kOk : posix_error(EACCES);
  }
  const auto granted = [&](unsigned shift) { return ((mode >> shift) & want) == want; };
  if (caller.uid == inode.uid) return granted(6) ? kOk : posix_error(EACCES);
  // Where the mask gives nothing, Linux does not look at the list: who is named in it is one of the group or the
  // others.
  if (inode.access_list != nullptr && (mode & S_IRWXG) != 0) {
    return check_list(caller, *inode.access_list, inode.gid, want);
  }
  if (granted(3) == granted(0)) return granted(0) ? kOk : posix_error(EACCES);  // the groups do not matter
  const Status member = check_in_group(caller, inode.gid);
  if (groups_wanted(member)) return member;
  return granted(member.ok() ? 3 : 0) ? kOk : posix_error(EACCES);
}

}  // namespace rideau::fs
