// SPDX-License-Identifier: Apache-2.0
// sync: everything that this target acknowledged of the objects named (none named: of all) survives a power cut.
#include "framework/base/sim_hooks.hpp"
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

namespace rideau::oss {

Task<Status> sync(Target& target, const fs::ObjectSyncRequest& request) {
  if (RIDEAU_PLANTED_BUG(sync_flushes_nothing)) co_return kOk;
  const Outcome flushed = co_await submit([&](Completion& completion) {
    return target.store.flush(request.objects.data(), static_cast<std::uint32_t>(request.objects.size()), completion);
  });
  if (!flushed.ok()) {
    const ObjectId first = request.objects.empty() ? ObjectId{} : request.objects.front();
    co_return note_failure(target, "flush", first, flushed.status);
  }
  const Status stored = co_await target.index.sync();
  if (!stored.ok()) co_return note_failure(target, "sync of the index", ObjectId{}, stored);
  co_return kOk;
}

Task<> handle_sync(Target& target, rpc::ServerCall& call) {
  fs::ObjectSyncRequest request;
  Status status = fs::decode(call.body(), &request);
  if (status.ok()) status = co_await sync(target, request);
  co_await call.reply(status, Bytes{});
}

}  // namespace rideau::oss
