// SPDX-License-Identifier: Apache-2.0
// get_records: durable records by their keys, all of one moment, for the file system check to look at a suspicion
// again.
#include "framework/base/limits.hpp"
#include "plugins/mds/ops/ops.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

Result<GetRecordsReply> apply(Target& target, const GetRecordsRequest& request) {
  constexpr std::size_t kOtherBytesPerValue = 32;
  Snapshot* snapshot = target.committer.snapshot();
  if (snapshot == nullptr) return Status{Code::io_error, EIO, "read the index"};
  GetRecordsReply reply;
  reply.transaction = target.committer.durable();
  reply.values.reserve(request.keys.size());
  std::size_t bytes = 1024;
  for (const std::string_view key : request.keys) {
    Bytes value;
    const Status status = snapshot->get(Bytes(key), &value);
    auto& found = reply.values.emplace_back();
    if (status.code == Code::not_found) continue;
    if (!status.ok()) return status;
    bytes += value.size + kOtherBytesPerValue;
    if (bytes > limits::kBodyBytesMax) return Status{Code::too_large, EMSGSIZE, "records for one reply"};
    found.emplace(value.view());
  }
  return reply;
}

}  // namespace rideau::mds
