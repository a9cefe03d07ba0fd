// SPDX-License-Identifier: Apache-2.0
// read_link: the target of a symbolic link. Needs no permission on the link itself (POSIX readlink).
#include "plugins/mds/ops/ops.hpp"

#include <cerrno>

namespace rideau::mds {

Result<fs::ReadLinkReply> apply(Target& target, const fs::ReadLinkRequest& request) {
  fs::InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  if (!record.inode.is_symlink()) return posix_error(EINVAL);
  return fs::ReadLinkReply{std::move(record.symlink_target)};
}

}  // namespace rideau::mds
