// SPDX-License-Identifier: Apache-2.0
// make: a new inode with a name (create, mkdir, mknod, symlink), open(O_CREAT), which opens what is there already, and
// open(O_TMPFILE), whose file has no name: like one that was unlinked while open, it goes with its last handle.
#include "plugins/mds/inline_files.hpp"
#include "plugins/mds/ops/access_lists.hpp"
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/ops.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>
#include <string>

namespace rideau::mds {

using namespace fs;

namespace {

Status check_type(const MakeRequest& request) {
  switch (request.mode & S_IFMT) {
    case S_IFREG:
      return kOk;
    case S_IFDIR:
    case S_IFIFO:
    case S_IFSOCK:
      return request.open ? posix_error(EINVAL) : kOk;
    case S_IFLNK:
      if (request.open || request.symlink_target.find('\0') != std::string_view::npos) return posix_error(EINVAL);
      if (request.symlink_target.empty()) return posix_error(ENOENT);
      return request.symlink_target.size() < limits::kPathBytesMax ? kOk : posix_error(ENAMETOOLONG);
    case S_IFCHR:
    case S_IFBLK:
      if (request.open) return posix_error(EINVAL);
      return request.caller.is_root() ? kOk : posix_error(EPERM);
    default:
      return posix_error(EINVAL);
  }
}

// Owner, group and mode of the new inode, with what a set-group-id directory hands down.
Status take_ids(const MakeRequest& request, const Inode& parent, Inode* inode) {
  inode->mode = request.mode & (S_IFMT | 07777);
  inode->uid = request.caller.uid;
  inode->gid = request.caller.gid;
  if (inode->is_symlink()) inode->mode = S_IFLNK | 0777;
  if ((parent.mode & S_ISGID) == 0) return kOk;
  inode->gid = parent.gid;
  if (inode->is_directory()) {
    inode->mode |= S_ISGID;
    return kOk;
  }
  // Nobody makes a program that runs with a group which is not his own.
  if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && !request.caller.is_root()) {
    const Status member = check_in_group(request.caller, parent.gid);
    if (groups_wanted(member)) return member;
    if (!member.ok()) inode->mode &= ~static_cast<std::uint32_t>(S_ISGID);
  }
  return kOk;
}

// What the server chooses, of an inode that was not there before.
void fill_new(Target& target, const Transaction& transaction, const MakeRequest& request, const Inode& parent,
              Inode* inode) {
  inode->id = new_inode_id(target);
  inode->device = S_ISCHR(inode->mode) || S_ISBLK(inode->mode) ? request.device : 0;
  inode->atime_ns = inode->mtime_ns = inode->ctime_ns = inode->birth_ns = transaction.now_ns();
  if (inode->is_regular()) {
    inode->layout = target.placement.choose(parent.layout_default, parent.pool, target.next_counter);
    inode->flags |= kUntouched;
    if (!request.knows_inline) inode->layout.inline_max = 0;
    if (target.committer.has_room_for_bytes()) begin_inline(inode);
  }
  if (inode->is_directory()) inode->layout_default = parent.layout_default;
  if (inode->is_directory() || inode->is_regular()) inode->pool = parent.pool;
  if (inode->is_symlink()) inode->size = request.symlink_target.size();
}

Result<MakeReply> open_existing(Target& target, Transaction& transaction, const MakeRequest& request, Session& session,
                                InodeRecord& parent, InodeId id) {
  if (!request.open || (request.open_flags & kOpenExclusive) != 0) return posix_error(EEXIST);
  InodeRecord record;
  if (const Status status = target.names.get_named(id, &record); !status.ok()) return status;
  if (record.inode.is_directory()) return posix_error(EISDIR);
  // Something that is opened in another way came to this name just now: the kernel looks again.
  if (!record.inode.is_regular()) return posix_error(ESTALE);
  OpenRequest open;
  open.caller = request.caller;
  open.inode = id;
  // Who wants it cut does that himself, under his lock of the file.
  open.flags = request.open_flags & ~static_cast<std::uint32_t>(kOpenTruncate);
  open.handle = request.handle;
  open.knows_inline = request.knows_inline;
  if (const Status status = check_open(request.caller, record.inode, request.open_flags); !status.ok()) return status;
  Result<OpenReply> opened = apply(target, transaction, open, session);
  if (!opened.ok()) return opened.status();
  return MakeReply{std::move(opened->inode), std::move(parent.inode), true};
}

}  // namespace

Result<MakeReply> apply(Target& target, Transaction& transaction, const MakeRequest& request, Session& session) {
  InodeRecord parent;
  if (const Status status = get_directory(target, request.caller, request.parent, &parent); !status.ok()) return status;
  const bool nameless = request.open && request.name.empty();
  Cookie cookie = 0;
  if (!nameless) {
    if (request.name == "." || request.name == "..") return posix_error(EEXIST);
    if (const Status status = check_name(request.name); !status.ok()) return status;
    FoundEntry entry;
    const Status found = target.names.find_entry(request.parent, request.name, &entry, &cookie);
    if (found.ok()) return open_existing(target, transaction, request, session, parent, entry.inode);
    if (errno_of(found) != ENOENT) return found;
  }
  if (const Status status = check_type(request); !status.ok()) return status;
  if (const Status status = check_inode_access(request.caller, parent.inode, kWantWrite); !status.ok()) return status;
  if (request.open && transaction.repeats() == nullptr) {
    if (const Status status = check_new_handle(session, request.handle); !status.ok()) return status;
  }
  InodeRecord record;
  Inode& inode = record.inode;
  if (const Status status = take_ids(request, parent.inode, &inode); !status.ok()) return status;
  std::string default_list;
  if (const Status status = take_lists(target, request.caller, parent.inode, &inode, &default_list); !status.ok()) {
    return status;
  }
  if (inode.is_directory() && parent.inode.link_count >= limits::kLinkCountMax) return posix_error(EMLINK);
  if ((cookie == 0 && !nameless) || !inode_ids_left(target)) return posix_error(ENOSPC);
  if (inode.is_regular() && transaction.repeats() == nullptr && target.placement.usable(parent.inode.pool).empty()) {
    return posix_error(ENOSPC, "no object target of the pool takes new files");
  }
  if (!nameless) {
    if (const Status status = transaction.claim({request.parent}); !status.ok()) return status;
  }

  transaction.begin();
  const Lost* lost = transaction.repeats();
  if (lost != nullptr) {
    // The client knows this inode, and may have written to its objects.
    inode = lost->made;
    inode.lock = 0;
    inode.flags &= ~static_cast<std::uint32_t>(kUntouched);
  } else {
    fill_new(target, transaction, request, parent.inode, &inode);
  }
  inode.link_count = inode.is_directory() ? 2 : nameless ? 0 : 1;
  if (inode.is_symlink()) record.symlink_target = request.symlink_target;
  keep_lists(target, default_list, &record);
  if (request.open) add_open(target, transaction, session, request.handle, request.open_flags, &inode);
  if (nameless) {
    target.names.put_mark(open_unlinked_key(inode.id));
    if ((request.open_flags & kOpenExclusive) == 0 && lost == nullptr) target.nameless.insert(inode.id);
    transaction.put(record);
  } else {
    transaction.add_name(record, request.parent, cookie, request.name);
    transaction.put(record);
    touch_directory(transaction, &parent.inode, 1, inode.is_directory() ? 1 : 0);
    transaction.put_grown(parent);
  }
  ++target.committer.counters().inodes;
  return MakeReply{std::move(inode), std::move(parent.inode), false};
}

}  // namespace rideau::mds
