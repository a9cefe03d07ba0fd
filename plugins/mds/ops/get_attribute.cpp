// SPDX-License-Identifier: Apache-2.0
// get_attribute: the value of an extended attribute.
#include "plugins/fs/layout_text.hpp"
#include "plugins/mds/ops/layout_attribute.hpp"
#include "plugins/mds/ops/ops.hpp"
#include "plugins/mds/ops/xattr_rules.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

Result<GetAttributeReply> apply(Target& target, const GetAttributeRequest& request) {
  InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  if (request.name == kLayoutAttribute) return get_layout(target, request.caller, record.inode);
  const Status allowed = check_xattr(request.caller, record.inode, request.name, XattrUse::read);
  if (!allowed.ok()) return allowed;
  if (record.xattr_count == 0) return posix_error(ENODATA);
  Bytes value;
  const Status status = target.names.get_xattr(request.inode, request.name, &value);
  if (status.code == Code::not_found) return posix_error(ENODATA);
  if (!status.ok()) return status;
  return GetAttributeReply{std::string(value.view())};
}

}  // namespace rideau::mds
