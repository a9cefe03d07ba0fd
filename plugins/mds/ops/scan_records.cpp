// SPDX-License-Identifier: Apache-2.0
// scan_records: the durable records of the index, a page a call, for the file system check. A page is read at once from
// the snapshot that there is, which the next commit lets go: a walk over everything keeps no old state alive.
#include "plugins/mds/ops/ops.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::mds {

using namespace fs;

Result<ScanRecordsReply> apply(Target& target, const ScanRecordsRequest& request) {
  // A page takes the target well below a millisecond and always fits a body, whatever its last record is.
  constexpr std::size_t kPageBytes = 256 * 1024;
  constexpr std::size_t kOtherBytesPerRecord = 32;
  Snapshot* snapshot = target.committer.snapshot();
  if (snapshot == nullptr) return Status{Code::io_error, EIO, "read the index"};
  ScanRecordsReply reply;
  reply.transaction = target.committer.durable();
  const std::uint32_t count = std::clamp(request.count, 1u, kRecordsPerCallMax);
  std::size_t bytes = 0;
  Bytes key;
  Bytes value;
  Status status = snapshot->seek(Bytes(request.from), &key, &value);
  while (status.ok()) {
    reply.records.emplace_back(key.view(), value.view());
    bytes += key.size + value.size + kOtherBytesPerRecord;
    if (reply.records.size() == count || bytes >= kPageBytes) return reply;
    status = snapshot->next(&key, &value);
  }
  if (status.code != Code::not_found) return status;
  return reply;
}

}  // namespace rideau::mds
