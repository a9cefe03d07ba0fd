// SPDX-License-Identifier: Apache-2.0
// link: one more name for an inode that is no directory.
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/ops.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

Result<InodeReply> apply(Target& target, Transaction& transaction, const LinkRequest& request) {
  InodeRecord parent;
  if (const Status status = get_directory(target, request.caller, request.parent, &parent); !status.ok()) return status;
  if (request.name == "." || request.name == "..") return posix_error(EEXIST);
  if (const Status status = check_name(request.name); !status.ok()) return status;
  FoundEntry entry;
  Cookie cookie = 0;
  const Status found = target.names.find_entry(request.parent, request.name, &entry, &cookie);
  if (found.ok()) return posix_error(EEXIST);
  if (errno_of(found) != ENOENT) return found;
  InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  if (request.guarded && !check_owner(request.caller, record.inode).ok()) {
    const Status usable = check_inode_access(request.caller, record.inode, kWantRead | kWantWrite);
    if (!usable.ok()) return groups_wanted(usable) ? usable : posix_error(EPERM);
  }
  if (const Status status = check_inode_access(request.caller, parent.inode, kWantWrite); !status.ok()) return status;
  if (record.inode.is_directory()) return posix_error(EPERM);
  // A file that was removed everywhere stays removed, though somebody has it open; one that never had a name may get
  // it.
  const bool nameless = record.inode.link_count == 0;
  const bool may_get_one = target.nameless.contains(record.inode.id) || transaction.repeats() != nullptr;
  if (nameless && !may_get_one) return posix_error(ENOENT);
  if (record.inode.link_count >= limits::kLinkCountMax) return posix_error(EMLINK);
  if (cookie == 0) return posix_error(ENOSPC);
  if (const Status status = transaction.claim({parent.inode.id, record.inode.id}); !status.ok()) return status;

  transaction.begin();
  if (nameless) {
    target.nameless.erase(record.inode.id);
    target.names.erase(open_unlinked_key(record.inode.id));
  }
  ++record.inode.link_count;
  record.inode.ctime_ns = transaction.now_ns();
  transaction.add_name(record, request.parent, cookie, request.name);
  transaction.put(record);
  touch_directory(transaction, &parent.inode, 1, 0);
  transaction.put(parent);
  return InodeReply{std::move(record.inode)};
}

}  // namespace rideau::mds
