// SPDX-License-Identifier: Apache-2.0
// remove_attribute: an extended attribute goes.
#include "plugins/fs/layout_text.hpp"
#include "plugins/mds/ops/access_lists.hpp"
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
  if (names_access_list(request.name)) {
    return remove_access_list(target, transaction, request.caller, request.name, record);
  }
  // A kernel takes the capability away in the name of whoever writes to the program; who asks for it by removexattr it
  // checks itself.
  const bool by_write = request.name == kCapabilityXattr;
  const Status allowed = check_xattr(request.caller, record.inode, request.name, XattrUse::change);
  if (!allowed.ok() && !by_write) return allowed;
  Bytes old;
  const Status found = target.names.get_xattr(request.inode, request.name, &old);
  if (found.code == Code::not_found) return posix_error(ENODATA);
  if (!found.ok()) return found;
  if (const Status status = transaction.claim({request.inode}); !status.ok()) return status;

  transaction.begin();
  target.names.erase_xattr(request.inode, request.name);
  if (request.name == kCapabilityXattr) record.inode.flags &= ~static_cast<std::uint32_t>(kCapability);
  if (record.xattr_count != 0) --record.xattr_count;
  record.inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

}  // namespace rideau::mds
