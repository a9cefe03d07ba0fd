// SPDX-License-Identifier: Apache-2.0
// open: one more handle on an inode. The first one for writing clears the record's exact mark in the same transaction.
#include "plugins/mds/inline_files.hpp"
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/ops.hpp"

namespace rideau::mds {

using namespace fs;

Result<OpenReply> apply(Target& target, Transaction& transaction, const OpenRequest& request, Session& session) {
  InodeRecord record;
  Inode& inode = record.inode;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  if (const Status status = check_open(request.caller, inode, request.flags); !status.ok()) return status;
  if (inode.is_inline() && !request.knows_inline) return posix_error(EOPNOTSUPP, "a newer client reads this file");
  if (transaction.repeats() == nullptr) {
    if (const Status status = check_new_handle(session, request.handle); !status.ok()) return status;
  }
  const bool truncates = (request.flags & kOpenTruncate) != 0 && inode.is_regular();
  if (truncates) {
    if (const Status status = drop_set_id(request.caller, &inode); !status.ok()) return status;
  }
  if (const Status status = transaction.claim({inode.id}, truncates ? lock::Mode::exclusive : lock::Mode::shared);
      !status.ok()) {
    return status;
  }

  const bool cleared = add_open(target, transaction, session, request.handle, request.flags, &inode);
  if (cleared || truncates) {
    transaction.begin();
    if (truncates) {
      drop_capability(target, &record);
      if (inode.is_inline()) {
        target.names.put_inline(inode.id, Bytes());
      } else {
        inode.flags &= ~static_cast<std::uint32_t>(kUntouched);
      }
      inode.size = 0;
      inode.blocks = 0;
      inode.mtime_ns = inode.ctime_ns = transaction.now_ns();
    }
    transaction.put(record);
  }
  OpenReply reply;
  Bytes bytes;
  // An answer to a change is kept in the index.
  const bool brings = request.wants_bytes && inode.is_inline() && transaction.number() == 0;
  if (brings && inode.size <= kInlineBytesWithOpen && target.names.get_inline(inode, &bytes).ok()) {
    reply.has_bytes = true;
    reply.bytes = bytes.view();
  }
  reply.inode = std::move(inode);
  return reply;
}

}  // namespace rideau::mds
