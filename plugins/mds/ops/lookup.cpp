// SPDX-License-Identifier: Apache-2.0
// lookup: a name of a directory to its inode. "." is any inode by its number (how file handles come back), ".." the
// parent.
#include "plugins/mds/ops/checks.hpp"
#include "plugins/mds/ops/ops.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

Result<InodeReply> apply(Target& target, const LookupRequest& request) {
  InodeRecord record;
  if (request.name == ".") {
    if (const Status status = target.names.get(request.parent, &record); !status.ok()) return status;
    return InodeReply{std::move(record.inode)};
  }
  if (const Status status = target.names.get_to_search(request.parent, &record); !status.ok()) return status;
  if (!record.inode.is_directory()) return posix_error(ENOTDIR);
  if (const Status status = check_inode_access(request.caller, record.inode, kWantExecute); !status.ok()) return status;
  if (request.name.size() > limits::kNameBytesMax) return posix_error(ENAMETOOLONG);
  InodeRecord found;
  if (request.name == "..") {
    if (const Status status = target.names.get(record.inode.parent, &found); !status.ok()) return status;
    return InodeReply{std::move(found.inode)};
  }
  FoundEntry entry;
  Cookie free = 0;
  if (const Status status = target.names.find_entry(request.parent, request.name, &entry, &free); !status.ok())
    return status;
  if (const Status status = target.names.get_named(entry.inode, &found); !status.ok()) return status;
  return InodeReply{std::move(found.inode)};
}

}  // namespace rideau::mds
