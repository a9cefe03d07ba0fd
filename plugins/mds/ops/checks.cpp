// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/ops/checks.hpp"

#include "plugins/mds/ops/xattr_rules.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

Status check_name(std::string_view name) {
  if (name.empty()) return posix_error(ENOENT);
  if (name.size() > limits::kNameBytesMax) return posix_error(ENAMETOOLONG);
  if (name == "." || name == "..") return posix_error(EINVAL);
  for (const char byte : name) {
    if (byte == '/' || byte == '\0') return posix_error(EINVAL);
  }
  return kOk;
}

Status check_inode_access(const Caller& caller, const Inode& inode, std::uint32_t want) {
  return check_access(caller, inode, want);
}

Status get_directory(Target& target, const Caller& caller, InodeId id, InodeRecord* to) {
  if (const Status status = target.names.get(id, to); !status.ok()) return status;
  if (!to->inode.is_directory()) return posix_error(ENOTDIR);
  return check_inode_access(caller, to->inode, kWantExecute);
}

Status check_owner(const Caller& caller, const Inode& inode) {
  return caller.is_root() || caller.uid == inode.uid ? kOk : posix_error(EPERM);
}

Status check_may_delete(const Caller& caller, const Inode& directory, const Inode& victim) {
  if (const Status status = check_inode_access(caller, directory, kWantWrite); !status.ok()) return status;
  const bool guarded = (directory.mode & S_ISVTX) != 0;
  if (guarded && !caller.is_root() && caller.uid != directory.uid && caller.uid != victim.uid)
    return posix_error(EPERM);
  return kOk;
}

Status check_empty(Target& target, InodeId directory) {
  FoundEntry entry;
  std::string_view name;
  const Status status = target.names.next_entry(directory, kCookieStart, &entry, &name);
  if (status.code == Code::not_found) return kOk;
  return status.ok() ? posix_error(ENOTEMPTY) : status;
}

Status check_open(const Caller& caller, const Inode& inode, std::uint32_t flags) {
  const bool writes = (flags & (kOpenWrite | kOpenTruncate)) != 0;
  if (inode.is_symlink()) return posix_error(ELOOP);
  if (inode.is_directory() && writes) return posix_error(EISDIR);
  std::uint32_t want = 0;
  if (flags & kOpenRead) want |= kWantRead;
  if (flags & kOpenExecute) want |= kWantExecute;
  if (writes) want |= kWantWrite;
  // The kernel opens a program to run it with a read flag of its own; running it needs no right to read.
  if (flags & kOpenExecute) want &= ~static_cast<std::uint32_t>(kWantRead);
  return check_inode_access(caller, inode, want);
}

Status check_new_handle(const Session& session, HandleId handle) {
  if (handle == 0 || session.find(handle) != nullptr) return posix_error(EINVAL);
  return session.handles.size() < limits::kOpenFilesPerSession ? kOk : posix_error(ENFILE);
}

Status drop_set_id(const Caller& caller, Inode* inode) {
  if (caller.is_root() || !inode->is_regular()) return kOk;
  std::uint32_t dropped = inode->mode & S_ISUID;
  if (inode->mode & S_ISGID) {
    // Without group execution the bit meant mandatory locking once; members of the group keep it.
    const Status member = (inode->mode & S_IXGRP) ? posix_error(EPERM) : check_in_group(caller, inode->gid);
    if (groups_wanted(member)) return member;
    if (!member.ok()) dropped |= S_ISGID;
  }
  inode->mode &= ~dropped;
  return kOk;
}

void drop_capability(Target& target, InodeRecord* record) {
  if ((record->inode.flags & kCapability) == 0) return;
  target.names.erase_xattr(record->inode.id, kCapabilityXattr);
  if (record->xattr_count != 0) --record->xattr_count;
  record->inode.flags &= ~static_cast<std::uint32_t>(kCapability);
}

namespace {

// What the other attributes of an inode take. Names count with their terminating zero, as in an answer of listxattr.
struct Used {
  std::size_t names = 0;
  std::size_t values = 0;
};

Result<Used> used_by_others(Target& target, const InodeRecord& record, std::string_view except) {
  Used used;
  std::string name;
  while (record.xattr_count != 0) {
    Status status = target.names.next_xattr(record.inode.id, name, &name);
    if (status.code == Code::not_found) break;
    Bytes value;
    if (status.ok()) status = target.names.get_xattr(record.inode.id, name, &value);
    if (!status.ok()) return status;
    if (name == except) continue;
    used.names += name.size() + 1;
    used.values += value.size;
  }
  return used;
}

}  // namespace

// All names fit into one answer of listxattr, and all of it is bounded.
Status check_xattr_room(Target& target, const InodeRecord& record, std::string_view name, std::size_t value_bytes) {
  const Result<Used> used = used_by_others(target, record, name);
  if (!used.ok()) return used.status();
  const std::size_t names = used->names + name.size() + 1;
  if (names > limits::kXattrListBytesMax) return posix_error(ENOSPC);
  const std::size_t bytes = names + used->values + value_bytes;
  return bytes <= limits::kXattrBytesPerInode ? kOk : posix_error(ENOSPC);
}

bool add_open(Target& target, const Transaction& transaction, Session& session, HandleId handle, std::uint32_t flags,
              Inode* inode) {
  std::uint32_t clears = 0;
  if ((flags & kOpenWrite) != 0 && inode->is_regular()) {
    clears = kExact;
    // Another one who may write could be about to die, having sent bytes to objects.
    if (inode->is_inline() && target.opens.is_open_for_writing(inode->id)) clears |= kUntouched;
  }
  if (transaction.repeats() == nullptr) {
    session.opened = {handle, OpenHandle{inode->id, flags}};
    session.handles.insert(session.opened);
    target.opens.add(inode->id, flags);
  }
  const bool cleared = (inode->flags & clears) != 0;
  inode->flags &= ~clears;
  return cleared;
}

void touch_directory(const Transaction& transaction, Inode* directory, int entries, int subdirectories) {
  // Lost changes of different clients are made again in any order.
  const bool again = transaction.repeats() != nullptr;
  const std::int64_t now = transaction.now_ns();
  directory->mtime_ns = again ? std::max(directory->mtime_ns, now) : now;
  directory->ctime_ns = again ? std::max(directory->ctime_ns, now) : now;
  directory->size += static_cast<std::uint64_t>(static_cast<std::int64_t>(entries));
  directory->link_count += static_cast<std::uint32_t>(subdirectories);
}

}  // namespace rideau::mds
