// SPDX-License-Identifier: Apache-2.0
// destroy: objects of a removed file go, for certain: the answer comes when that is durable. Asked again, it is done
// again.
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

namespace rideau::oss {

namespace {

Task<Status> remove_one(Target& target, ObjectId id) {
  ObjectLocks::Hold hold(target.runtime, id, 0, kWholeObject, true);
  co_await target.locks.lock(hold);
  const Outcome removed = co_await submit([&](Completion& completion) { return target.store.remove(id, completion); });
  target.locks.unlock(hold);
  co_return removed.status;
}

}  // namespace

Task<Status> destroy(Target& target, const fs::ObjectDestroyRequest& request, const CallIdentity& call) {
  if (request.objects.empty()) co_return kOk;
  // Marked first: a write that waits behind the removal must not make the object anew.
  target.index.mark_destroyed(request.objects);
  for (const ObjectId id : request.objects) {
    const Status removed = co_await remove_one(target, id);
    if (!removed.ok() && removed.code != Code::not_found) co_return note_failure(target, "destroy", id, removed);
  }
  const Outcome flushed = co_await submit([&](Completion& completion) {
    return target.store.flush(request.objects.data(), static_cast<std::uint32_t>(request.objects.size()), completion);
  });
  if (!flushed.ok()) co_return note_failure(target, "destroy (flush)", request.objects.front(), flushed.status);
  const Status stored = co_await target.index.store_destroyed(request.objects, call);
  if (!stored.ok()) co_return note_failure(target, "destroy (index)", request.objects.front(), stored);
  co_return kOk;
}

Task<> handle_destroy(Target& target, rpc::ServerCall& call) {
  fs::ObjectDestroyRequest request;
  Status status = fs::decode(call.body(), &request);
  const CallIdentity identity = identity_of(call);
  if (status.ok()) status = co_await destroy(target, request, identity);
  co_await call.reply(status, Bytes{});
}

}  // namespace rideau::oss
