// SPDX-License-Identifier: Apache-2.0
// set_attributes: chmod, chown, truncate, utimes, in any combination, all or nothing.
#include "plugins/mds/inline_files.hpp"
#include "plugins/mds/ops/access_lists.hpp"
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/ops.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

namespace {

constexpr std::uint32_t kOwners = kSetUid | kSetGid;

// Only root gives files away; an owner may choose among his own groups (POSIX chown, _POSIX_CHOWN_RESTRICTED).
Status check_owners(const SetAttributesRequest& request, const Inode& inode) {
  const Caller& caller = request.caller;
  if (caller.is_root()) return kOk;
  if (const Status status = check_owner(caller, inode); !status.ok()) return status;
  if ((request.mask & kSetUid) && request.uid != inode.uid) return posix_error(EPERM);
  if ((request.mask & kSetGid) == 0 || request.gid == inode.gid) return kOk;
  return check_in_group(caller, request.gid);
}

// Decides which bits the new mode has: an owner outside the file's group cannot set its set-group-id bit.
Status choose_mode(const SetAttributesRequest& request, Inode* inode) {
  const Caller& caller = request.caller;
  if (request.mask & kSetMode) {
    if (const Status status = check_owner(caller, *inode); !status.ok()) return status;
    std::uint32_t mode = request.mode & 07777;
    if ((mode & S_ISGID) && !caller.is_root()) {
      const std::uint32_t gid = request.mask & kSetGid ? request.gid : inode->gid;
      const Status member = check_in_group(caller, gid);
      if (groups_wanted(member)) return member;
      if (!member.ok()) mode &= ~static_cast<std::uint32_t>(S_ISGID);
    }
    inode->mode = (inode->mode & S_IFMT) | mode;
    return kOk;
  }
  if ((request.mask & kOwners) && !inode->is_directory()) {
    // A new owner does not inherit the power of the old one's programs, not even from root. Without execution by the
    // group its bit stays for those who might set it.
    std::uint32_t dropped = S_ISUID;
    if (inode->mode & S_ISGID) {
      const bool may_keep = (inode->mode & S_IXGRP) == 0;
      const Status member = may_keep && !caller.is_root() ? check_in_group(caller, inode->gid) : kOk;
      if (groups_wanted(member)) return member;
      if (!may_keep || !member.ok()) dropped |= S_ISGID;
    }
    inode->mode &= ~dropped;
  }
  return request.mask & kSetKillPrivileges ? drop_set_id(caller, inode) : kOk;
}

Status check_size(const SetAttributesRequest& request, const Inode& inode, const Session& session) {
  if (inode.is_directory()) return posix_error(EISDIR);
  if (!inode.is_regular()) return posix_error(EINVAL);
  if (request.size > limits::kFileBytesMax) return posix_error(EFBIG);
  const OpenHandle* open = session.find(request.handle);
  if (open != nullptr && open->inode == inode.id && (open->flags & kOpenWrite)) return kOk;
  return check_inode_access(request.caller, inode, kWantWrite);
}

// Any time by the owner; both at once to the present one also by whoever may write (utimensat(2)).
Status check_times(const SetAttributesRequest& request, const Inode& inode) {
  constexpr std::uint32_t kBothNow = kSetAtimeNow | kSetMtimeNow;
  const Status owner = check_owner(request.caller, inode);
  if (owner.ok() || (request.mask & (kSetAtime | kSetMtime)) != 0 || (request.mask & kBothNow) != kBothNow) {
    return owner;
  }
  return check_inode_access(request.caller, inode, kWantWrite);
}

void set_times(const SetAttributesRequest& request, std::int64_t now_ns, Inode* inode) {
  if (request.mask & kSetAtime) inode->atime_ns = request.atime_ns;
  if (request.mask & kSetAtimeNow) inode->atime_ns = now_ns;
  if (request.mask & kSetMtime) inode->mtime_ns = request.mtime_ns;
  if (request.mask & kSetMtimeNow) inode->mtime_ns = now_ns;
  if (request.mask & (kSetMtime | kSetMtimeNow)) ++inode->time_generation;
}

}  // namespace

Result<InodeReply> apply(Target& target, Transaction& transaction, const SetAttributesRequest& request,
                         Session& session) {
  InodeRecord record;
  Inode& inode = record.inode;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  constexpr std::uint32_t kTimes = kSetAtime | kSetMtime | kSetAtimeNow | kSetMtimeNow;
  // Of a lost change, the handle may be closed since.
  if ((request.mask & kSetSize) && transaction.repeats() == nullptr) {
    if (const Status status = check_size(request, inode, session); !status.ok()) return status;
  }
  if (request.mask & kOwners) {
    if (const Status status = check_owners(request, inode); !status.ok()) return status;
  }
  if (request.mask & kTimes) {
    // A truncate by a writer who is not the owner carries its time along.
    const bool part_of_truncate = (request.mask & kSetSize) && (request.mask & (kSetAtime | kSetMtime)) == 0;
    const Status status = part_of_truncate ? kOk : check_times(request, inode);
    if (!status.ok()) return status;
  }
  if (const Status status = choose_mode(request, &inode); !status.ok()) return status;
  const bool resizes_inline = (request.mask & kSetSize) != 0 && inode.is_inline();
  if (resizes_inline) {
    const Status status = check_inline_size(target, request.bytes, inode, request.size);
    if (!status.ok()) return status;
  }
  const lock::Mode needed = request.mask == 0 ? lock::Mode::shared : lock::Mode::exclusive;
  if (const Status status = transaction.claim({inode.id}, needed); !status.ok()) return status;
  if (request.mask == 0) return InodeReply{std::move(inode)};

  transaction.begin();
  constexpr std::uint32_t kEndsCapability = kOwners | kSetSize | kSetKillPrivileges | kSetKillCapability;
  if (request.mask & kEndsCapability) drop_capability(target, &record);
  if (request.mask & kSetUid) inode.uid = request.uid;
  if (request.mask & kSetGid) inode.gid = request.gid;
  if (request.mask & kSetSize) {
    if (resizes_inline) resize_inline(target, request.bytes, request.size, &inode);
    if (!inode.is_inline()) inode.flags &= ~static_cast<std::uint32_t>(kUntouched);
    inode.size = request.size;
    if (request.size == 0) inode.blocks = 0;
    if (inode.is_inline()) inode.blocks = (inode.size + 511) / 512;
    inode.mtime_ns = transaction.now_ns();
  }
  set_times(request, transaction.now_ns(), &inode);
  if (request.mask & kSetMode) follow_mode(target, &inode);
  inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return InodeReply{std::move(inode)};
}

}  // namespace rideau::mds
