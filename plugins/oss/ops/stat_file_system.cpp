// SPDX-License-Identifier: Apache-2.0
// stat_file_system: how much this target holds, and how much it still can.
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

namespace rideau::oss {

Result<fs::ObjectStatFileSystemReply> stat_file_system(Target& target) {
  ObjectSpace space{};
  const Status known = target.store.space(&space);
  if (!known.ok()) return note_failure(target, "space", ObjectId{}, known);
  return fs::ObjectStatFileSystemReply{space.bytes_total, space.bytes_free, space.object_count, space.device,
                                       target.store.limits().object_bytes_max};
}

Task<> handle_stat_file_system(Target& target, rpc::ServerCall& call) {
  const Result<fs::ObjectStatFileSystemReply> done = stat_file_system(target);
  wire::Encoded body;
  if (done.ok()) fs::encode(*done, body);
  co_await call.reply(done.status(), body.bytes());
}

}  // namespace rideau::oss
