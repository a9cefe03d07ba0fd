// SPDX-License-Identifier: Apache-2.0
// set_attribute: makes or replaces an extended attribute.
#include "plugins/fs/layout_text.hpp"
#include "plugins/mds/ops/layout_attribute.hpp"
#include "plugins/mds/ops/ops.hpp"
#include "plugins/mds/ops/xattr_rules.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>

#include <sys/xattr.h>

namespace rideau::mds {

using namespace fs;

namespace {

// All names of an inode fit into one answer of listxattr; each counts with its terminating zero.
Result<std::size_t> bytes_of_names(Target& target, const InodeRecord& record) {
  std::size_t bytes = 0;
  std::string name;
  while (record.xattr_count != 0) {
    const Status status = target.names.next_xattr(record.inode.id, name, &name);
    if (status.code == Code::not_found) break;
    if (!status.ok()) return status;
    bytes += name.size() + 1;
  }
  return bytes;
}

}  // namespace

Status apply(Target& target, Transaction& transaction, const SetAttributeRequest& request) {
  InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  if ((request.flags & ~static_cast<std::uint32_t>(XATTR_CREATE | XATTR_REPLACE)) != 0) return posix_error(EINVAL);
  if (request.value.size() > limits::kXattrValueBytesMax) return posix_error(E2BIG);
  if (request.name == kLayoutAttribute) return set_layout(target, transaction, request, record);
  const Status allowed = check_xattr(request.caller, record.inode, request.name, XattrUse::change);
  if (!allowed.ok()) return allowed;
  Bytes old;
  const Status found = target.names.get_xattr(request.inode, request.name, &old);
  if (!found.ok() && found.code != Code::not_found) return found;
  if (found.ok() && (request.flags & XATTR_CREATE)) return posix_error(EEXIST);
  if (!found.ok() && (request.flags & XATTR_REPLACE)) return posix_error(ENODATA);
  if (!found.ok()) {
    const Result<std::size_t> bytes = bytes_of_names(target, record);
    if (!bytes.ok()) return bytes.status();
    if (*bytes + request.name.size() + 1 > limits::kXattrListBytesMax) return posix_error(ENOSPC);
    ++record.xattr_count;
  }

  transaction.begin();
  target.names.put_xattr(request.inode, request.name, Bytes(request.value));
  record.inode.ctime_ns = transaction.now_ns();
  transaction.put(record);
  return kOk;
}

}  // namespace rideau::mds
