// SPDX-License-Identifier: Apache-2.0
// rename: a name moves, replacing what stands at the new one, or (RENAME_EXCHANGE) two names change places.
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/ops.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

namespace {

// What one rename works with. `to_parent` is `from_parent` when the name stays in its directory.
struct Rename {
  InodeRecord from_parent;
  InodeRecord other_parent;
  InodeRecord* to_parent = nullptr;
  FoundEntry from;
  FoundEntry to;
  bool to_exists = false;
  Cookie free_cookie = 0;  // for the new name, when it is not there
  InodeRecord moved;
  InodeRecord replaced;    // when to_exists
  bool destroyed = false;  // what was replaced is gone
  bool within_directory() const { return to_parent == &from_parent; }
};

Status find_names(Target& target, const RenameRequest& request, Rename* work) {
  Cookie unused = 0;
  const Status from = target.names.find_entry(request.old_parent, request.old_name, &work->from, &unused);
  if (!from.ok()) return from;
  const Status to = target.names.find_entry(request.new_parent, request.new_name, &work->to, &work->free_cookie);
  if (!to.ok() && errno_of(to) != ENOENT) return to;
  work->to_exists = to.ok();
  if (work->to_exists && (request.flags & kRenameNoReplace)) return posix_error(EEXIST);
  if (!work->to_exists && (request.flags & kRenameExchange)) return posix_error(ENOENT);
  if (const Status status = target.names.get_named(work->from.inode, &work->moved); !status.ok()) return status;
  return work->to_exists ? target.names.get_named(work->to.inode, &work->replaced) : kOk;
}

Status gather(Target& target, const RenameRequest& request, Rename* work) {
  Status status = get_directory(target, request.caller, request.old_parent, &work->from_parent);
  if (!status.ok()) return status;
  work->to_parent = request.old_parent == request.new_parent ? &work->from_parent : &work->other_parent;
  if (!work->within_directory()) {
    status = get_directory(target, request.caller, request.new_parent, &work->other_parent);
    if (!status.ok()) return status;
  }
  for (const std::string_view name : {request.old_name, request.new_name}) {
    if (name == "." || name == "..") return posix_error(EBUSY);
    if (status = check_name(name); !status.ok()) return status;
  }
  return find_names(target, request, work);
}

// Whether `inode` is `directory` or lies above it. A chain longer than any path means damage.
Result<bool> is_at_or_above(Target& target, InodeId inode, const InodeRecord& directory) {
  constexpr int kDepthMax = 100'000;
  InodeId at = directory.inode.id;
  InodeId up = directory.inode.parent;
  InodeRecord record;
  for (int depth = 0; depth < kDepthMax; ++depth) {
    if (at == inode) return true;
    if (at == kRootInode) return false;
    at = up;
    if (const Status status = target.names.get_named(at, &record); !status.ok()) return status;
    up = record.inode.parent;
  }
  return Status{Code::io_error, EIO, "directories form a loop"};
}

// No directory may come to lie in itself.
Status check_loops(Target& target, const RenameRequest& request, const Rename& work) {
  if (work.within_directory()) return kOk;
  if (work.moved.inode.is_directory()) {
    const Result<bool> above = is_at_or_above(target, work.moved.inode.id, *work.to_parent);
    if (!above.ok()) return above.status();
    if (*above) return posix_error(EINVAL);
  }
  if (work.to_exists && work.replaced.inode.is_directory()) {
    const Result<bool> above = is_at_or_above(target, work.replaced.inode.id, work.from_parent);
    if (!above.ok()) return above.status();
    if (*above) return posix_error(request.flags & kRenameExchange ? EINVAL : ENOTEMPTY);
  }
  return kOk;
}

// Moving a directory elsewhere writes its "..".
Status check_may_move(const Caller& caller, const Rename& work, const Inode& inode) {
  if (work.within_directory() || !inode.is_directory()) return kOk;
  return check_inode_access(caller, inode, kWantWrite);
}

Status check_permissions(const RenameRequest& request, const Rename& work) {
  const Caller& caller = request.caller;
  Status status = check_may_delete(caller, work.from_parent.inode, work.moved.inode);
  if (!status.ok()) return status;
  status = work.to_exists ? check_may_delete(caller, work.to_parent->inode, work.replaced.inode)
                          : check_inode_access(caller, work.to_parent->inode, kWantWrite);
  if (!status.ok()) return status;
  if (work.to_exists && (request.flags & kRenameExchange) == 0) {
    const bool moved_is_directory = work.moved.inode.is_directory();
    const bool replaced_is_directory = work.replaced.inode.is_directory();
    if (moved_is_directory && !replaced_is_directory) return posix_error(ENOTDIR);
    if (!moved_is_directory && replaced_is_directory) return posix_error(EISDIR);
  }
  if (status = check_may_move(caller, work, work.moved.inode); !status.ok()) return status;
  return request.flags & kRenameExchange ? check_may_move(caller, work, work.replaced.inode) : kOk;
}

Status check_room(Target& target, const RenameRequest& request, const Rename& work) {
  const bool exchange = (request.flags & kRenameExchange) != 0;
  if (!work.to_exists && work.free_cookie == 0) return posix_error(ENOSPC);
  const bool gives = work.moved.inode.is_directory();
  const bool takes = work.to_exists && work.replaced.inode.is_directory();
  if (!exchange && takes) {
    if (const Status status = check_empty(target, work.replaced.inode.id); !status.ok()) return status;
  }
  if (work.within_directory()) return kOk;
  if (gives && !takes && work.to_parent->inode.link_count >= limits::kLinkCountMax) return posix_error(EMLINK);
  if (exchange && takes && !gives && work.from_parent.inode.link_count >= limits::kLinkCountMax) {
    return posix_error(EMLINK);
  }
  return kOk;
}

void exchange(Transaction& transaction, const RenameRequest& request, Rename& work) {
  const int moved = work.moved.inode.is_directory() ? 1 : 0;
  const int replaced = work.replaced.inode.is_directory() ? 1 : 0;
  const InodeId from = request.old_parent;
  const InodeId to = request.new_parent;
  transaction.forget_name(work.moved, from, work.from.cookie);
  transaction.forget_name(work.replaced, to, work.to.cookie);
  transaction.add_name(work.moved, to, work.to.cookie, request.new_name);
  transaction.add_name(work.replaced, from, work.from.cookie, request.old_name);
  touch_directory(transaction, &work.from_parent.inode, 0, replaced - moved);
  touch_directory(transaction, &work.to_parent->inode, 0, moved - replaced);
  work.replaced.inode.ctime_ns = transaction.now_ns();
  transaction.put(work.replaced);
}

void move(Transaction& transaction, const RenameRequest& request, Rename& work) {
  const int moved = work.moved.inode.is_directory() ? 1 : 0;
  Cookie cookie = work.free_cookie;
  if (work.to_exists) {
    // The new entry takes the place of the old one: a reader of the directory sees the name in one or the other.
    cookie = work.to.cookie;
    touch_directory(transaction, &work.to_parent->inode, -1, work.replaced.inode.is_directory() ? -1 : 0);
    work.destroyed = transaction.remove_name(work.replaced, request.new_parent, work.to.cookie);
  }
  transaction.forget_name(work.moved, request.old_parent, work.from.cookie);
  transaction.add_name(work.moved, request.new_parent, cookie, request.new_name);
  touch_directory(transaction, &work.from_parent.inode, -1, -moved);
  touch_directory(transaction, &work.to_parent->inode, 1, moved);
}

}  // namespace

Result<RenameReply> apply(Target& target, Transaction& transaction, const RenameRequest& request) {
  constexpr std::uint32_t kKnown = kRenameNoReplace | kRenameExchange;
  if ((request.flags & ~kKnown) != 0 || (request.flags & kKnown) == kKnown) return posix_error(EINVAL);
  Rename work;
  if (const Status status = gather(target, request, &work); !status.ok()) return status;
  if (const Status status = check_loops(target, request, work); !status.ok()) return status;
  // Two names of one file: nothing to do, both stay (POSIX rename).
  const bool same = work.to_exists && work.moved.inode.id == work.replaced.inode.id;
  if (!same) {
    if (const Status status = check_permissions(request, work); !status.ok()) return status;
    if (const Status status = check_room(target, request, work); !status.ok()) return status;
    const InodeId replaced = work.to_exists ? work.replaced.inode.id : work.moved.inode.id;
    const Status claimed = transaction.claim({request.old_parent, request.new_parent, work.moved.inode.id, replaced});
    if (!claimed.ok()) return claimed;
    transaction.begin();
    if (request.flags & kRenameExchange) {
      exchange(transaction, request, work);
    } else {
      move(transaction, request, work);
    }
    work.moved.inode.ctime_ns = transaction.now_ns();
    transaction.put(work.moved);
    transaction.put(work.from_parent);
    if (!work.within_directory()) transaction.put(*work.to_parent);
  } else if (const Status status = transaction.claim({work.moved.inode.id}, lock::Mode::shared); !status.ok()) {
    return status;
  }
  RenameReply reply;
  reply.old_parent = work.from_parent.inode;
  reply.new_parent = work.to_parent->inode;
  reply.inode = std::move(work.moved.inode);
  if (work.to_exists) reply.replaced = std::move(work.replaced.inode);
  reply.destroyed = work.destroyed;
  return reply;
}

}  // namespace rideau::mds
