// SPDX-License-Identifier: Apache-2.0
// list_attributes: names of the extended attributes that the caller may know of.
#include "plugins/mds/ops/ops.hpp"
#include "plugins/mds/ops/xattr_rules.hpp"

namespace rideau::mds {

using namespace fs;

Result<ListAttributesReply> apply(Target& target, const ListAttributesRequest& request) {
  InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  ListAttributesReply reply;
  std::string name;
  while (record.xattr_count != 0) {
    const Status status = target.names.next_xattr(request.inode, name, &name);
    if (status.code == Code::not_found) break;
    if (!status.ok()) return status;
    if (xattr_is_listed(request.caller, name)) reply.names.push_back(name);
  }
  return reply;
}

}  // namespace rideau::mds
