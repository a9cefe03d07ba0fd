// SPDX-License-Identifier: Apache-2.0
// remove: unlink and rmdir. An open file lives on without a name until its last close.
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/ops.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

namespace {

Status check_kind(Target& target, const RemoveRequest& request, const Inode& inode) {
  if (!request.directory) return inode.is_directory() ? posix_error(EISDIR) : kOk;
  if (!inode.is_directory()) return posix_error(ENOTDIR);
  return check_empty(target, inode.id);
}

}  // namespace

Result<RemoveReply> apply(Target& target, Transaction& transaction, const RemoveRequest& request, Session& session) {
  InodeRecord parent;
  if (const Status status = get_directory(target, request.caller, request.parent, &parent); !status.ok()) return status;
  if (request.name == "..") return posix_error(request.directory ? ENOTEMPTY : EISDIR);
  if (request.name == ".") return posix_error(request.directory ? EINVAL : EISDIR);
  if (const Status status = check_name(request.name); !status.ok()) return status;
  FoundEntry entry;
  Cookie free = 0;
  if (const Status status = target.names.find_entry(request.parent, request.name, &entry, &free); !status.ok())
    return status;
  InodeRecord record;
  if (const Status status = target.names.get_named(entry.inode, &record); !status.ok()) return status;
  if (const Status status = check_may_delete(request.caller, parent.inode, record.inode); !status.ok()) return status;
  if (const Status status = check_kind(target, request, record.inode); !status.ok()) return status;
  if (const Status status = transaction.claim({parent.inode.id, record.inode.id}); !status.ok()) return status;

  transaction.begin();
  const OpenHandle* kept = session.find(request.kept_open);
  if (kept != nullptr && kept->inode == record.inode.id) {
    target.opens.remove(kept->inode, kept->flags);
    session.handles.erase(request.kept_open);
  }
  touch_directory(transaction, &parent.inode, -1, request.directory ? -1 : 0);
  transaction.put(parent);
  const bool destroyed = transaction.remove_name(record, request.parent, entry.cookie);
  return RemoveReply{std::move(parent.inode), std::move(record.inode), destroyed};
}

}  // namespace rideau::mds
