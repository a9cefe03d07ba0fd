// SPDX-License-Identifier: Apache-2.0
// set_attribute: makes or replaces an extended attribute.
#include "plugins/fs/layout_text.hpp"
#include "plugins/mds/ops/access_lists.hpp"
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/layout_attribute.hpp"
#include "plugins/mds/ops/ops.hpp"
#include "plugins/mds/ops/xattr_rules.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>

#include <sys/xattr.h>

namespace rideau::mds {

using namespace fs;

Status apply(Target& target, Transaction& transaction, const SetAttributeRequest& request) {
  InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  if ((request.flags & ~static_cast<std::uint32_t>(XATTR_CREATE | XATTR_REPLACE)) != 0) return posix_error(EINVAL);
  if (request.value.size() > limits::kXattrValueBytesMax) return posix_error(E2BIG);
  if (request.name == kLayoutAttribute) return set_layout(target, transaction, request, record);
  if (names_access_list(request.name)) return set_access_list(target, transaction, request, record);
  const Status allowed = check_xattr(request.caller, record.inode, request.name, XattrUse::change);
  if (!allowed.ok()) return allowed;
  Bytes old;
  const Status found = target.names.get_xattr(request.inode, request.name, &old);
  if (!found.ok() && found.code != Code::not_found) return found;
  if (found.ok() && (request.flags & XATTR_CREATE)) return posix_error(EEXIST);
  if (!found.ok() && (request.flags & XATTR_REPLACE)) return posix_error(ENODATA);
  const bool is_new = !found.ok();
  if (const Status room = check_xattr_room(target, record, request.name, request.value.size()); !room.ok()) return room;
  if (const Status status = transaction.claim({request.inode}); !status.ok()) return status;

  transaction.begin();
  if (is_new) ++record.xattr_count;
  if (request.name == kCapabilityXattr) record.inode.flags |= kCapability;
  target.names.put_xattr(request.inode, request.name, Bytes(request.value));
  record.inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

}  // namespace rideau::mds
