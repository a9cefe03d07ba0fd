// SPDX-License-Identifier: Apache-2.0
// get_attributes: an inode by its number. Needs no permission, as stat of an open file.
#include "plugins/mds/ops/ops.hpp"

namespace rideau::mds {

Result<fs::InodeReply> apply(Target& target, const fs::GetAttributesRequest& request) {
  fs::InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  return fs::InodeReply{std::move(record.inode)};
}

}  // namespace rideau::mds
