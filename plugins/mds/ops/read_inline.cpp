// SPDX-License-Identifier: Apache-2.0
// read_inline: the bytes of a small file. Who asks has a lock of it, so nobody else knows better.
#include "plugins/mds/ops/ops.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

Result<ReadInlineReply> apply(Target& target, const ReadInlineRequest& request) {
  InodeRecord record;
  if (const Status status = target.names.get(request.inode, &record); !status.ok()) return status;
  ReadInlineReply reply;
  reply.is_inline = record.inode.is_inline();
  if (!reply.is_inline) return reply;
  Bytes bytes;
  if (const Status status = target.names.get_inline(record.inode, &bytes); !status.ok()) return status;
  reply.bytes = bytes.view();
  return reply;
}

}  // namespace rideau::mds
