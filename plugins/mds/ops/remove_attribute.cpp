// SPDX-License-Identifier: Apache-2.0
// remove_attribute: an extended attribute goes.
#include "plugins/fs/layout_text.hpp"
#include "plugins/mds/ops/layout_attribute.hpp"
#include "plugins/mds/ops/ops.hpp"
#include "plugins/mds/ops/xattr_rules.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

Status apply(Target& target, Transaction& transaction, const RemoveAttributeRequest& request) {
  InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  if (request.name == kLayoutAttribute) return reset_layout(transaction, request.caller, record);
  const Status allowed = check_xattr(request.caller, record.inode, request.name, XattrUse::change);
  if (!allowed.ok()) return allowed;
  Bytes old;
  const Status found = target.names.get_xattr(request.inode, request.name, &old);
  if (found.code == Code::not_found) return posix_error(ENODATA);
  if (!found.ok()) return found;

  transaction.begin();
  target.names.erase_xattr(request.inode, request.name);
  if (record.xattr_count != 0) --record.xattr_count;
  record.inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

}  // namespace rideau::mds
