// SPDX-License-Identifier: Apache-2.0
// close: handles go, and with them comes what their writers know of size and times. The last writer's word makes the
// record exact again. A writer who does not say that he left the objects alone may have made some. An inode without a
// name goes with its last handle.
//
// An item that does not fit (an unknown handle, an inode that is gone) is passed over: closing never fails halfway.
#include "plugins/mds/inline_files.hpp"
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/ops.hpp"

#include "framework/base/limits.hpp"

#include <algorithm>

namespace rideau::mds {

using namespace fs;

namespace {

void begin_once(Transaction& transaction) {
  if (transaction.number() == 0) transaction.begin();
}

// An inline file has as many bytes as its record: who says nothing of these has not changed them.
void take_update(Target& target, const SizeUpdate& update, const InlineBytes& bytes, Inode* inode) {
  const bool was_inline = inode->is_inline();
  if (was_inline) take_inline(target, bytes, inode);
  const std::uint64_t size = std::min(update.size, limits::kFileBytesMax);
  if (update.at_least) {
    // One of several writers: what others told stays. How large the file is for certain, its objects say.
    inode->size = std::max(inode->size, size);
    inode->blocks = std::max(inode->blocks, update.blocks);
    if (update.time_generation == inode->time_generation) {
      inode->mtime_ns = std::max(inode->mtime_ns, update.mtime_ns);
      inode->ctime_ns = std::max(inode->ctime_ns, update.mtime_ns);
    }
    return;
  }
  if (!inode->is_inline()) inode->size = size;
  inode->blocks = update.blocks;
  // Times that were set explicitly since are newer than the data, whenever it comes.
  if (update.time_generation == inode->time_generation) {
    inode->mtime_ns = update.mtime_ns;
    inode->ctime_ns = std::max(inode->ctime_ns, update.mtime_ns);
  }
  if (!target.opens.is_open_for_writing(inode->id)) inode->flags |= kExact;
}

Status close_one(Target& target, Transaction& transaction, const CloseItem& item, Session& session) {
  bool touched = !item.untouched;
  if (item.handle != 0) {
    const OpenHandle* open = session.find(item.handle);
    const bool known = open != nullptr && open->inode == item.inode;
    // What is closed does not claim its handle again after a restart, and its news may come later.
    if (!known && !session.restored) return kOk;
    touched = (!known || (open->flags & kOpenWrite) != 0) && !item.untouched;
    if (known) {
      target.opens.remove(open->inode, open->flags);
      session.handles.erase(item.handle);
    }
  }
  InodeRecord record;
  const Status status = target.names.get(item.inode, &record);
  if (!status.ok()) return status.code == Code::posix ? kOk : status;
  Inode& inode = record.inode;
  touched = touched && (inode.flags & kUntouched) != 0;
  if (touched) inode.flags &= ~static_cast<std::uint32_t>(kUntouched);
  if (inode.link_count == 0 && !target.opens.is_open(inode.id) && !target.recovering) {
    begin_once(transaction);
    transaction.purge(record);
    target.names.erase(open_unlinked_key(inode.id));
    target.nameless.erase(inode.id);
    return kOk;
  }
  const bool update = item.update.present && inode.is_regular();
  if (!update && !touched) return kOk;
  begin_once(transaction);
  if (update) take_update(target, item.update, item.bytes, &inode);
  transaction.put(record);
  return kOk;
}

}  // namespace

Status apply(Target& target, Transaction& transaction, const CloseRequest& request, Session& session) {
  Status first_failure = kOk;
  for (const CloseItem& item : request.items) {
    const Status status = close_one(target, transaction, item, session);
    if (first_failure.ok()) first_failure = status;
  }
  return first_failure;
}

Status drop_handle(Target& target, Transaction& transaction, Session& session, HandleId handle) {
  const OpenHandle* open = session.find(handle);
  if (open == nullptr) return kOk;
  const CloseItem item{open->inode, handle, {}};
  return close_one(target, transaction, item, session);
}

}  // namespace rideau::mds
