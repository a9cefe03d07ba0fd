// SPDX-License-Identifier: Apache-2.0
// stat_file_system: inodes of this target. How many more fit is estimated from the space of the index.
#include "plugins/mds/ops/ops.hpp"

namespace rideau::mds {

Result<fs::StatFileSystemReply> apply_stat_file_system(Target& target) {
  constexpr std::uint64_t kBytesEachInode = 512;  // record, entry and their share of half-full pages
  IndexSpace space;
  if (const Status status = target.committer.space(&space); !status.ok()) return status;
  fs::StatFileSystemReply reply;
  reply.inodes_used = target.committer.counters().inodes;
  reply.inodes_free = space.bytes_free / kBytesEachInode;
  return reply;
}

}  // namespace rideau::mds
