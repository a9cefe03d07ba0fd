// SPDX-License-Identifier: Apache-2.0
// destroy: objects of a removed file go, for certain: the answer comes when that is durable. Asked again, it is done
// again.
#include "framework/runtime/task_group.hpp"
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

#include <algorithm>

namespace rideau::oss {

namespace {

constexpr std::size_t kRemovalsAtOnce = 32;

Task<Status> remove_one(Target& target, ObjectId id) {
  ObjectLocks::Hold hold(target.runtime, id, 0, kWholeObject, true);
  co_await target.locks.lock(hold);
  const Outcome removed = co_await submit([&](Completion& completion) { return target.store.remove(id, completion); });
  target.locks.unlock(hold);
  co_return removed.status;
}

// Takes one object after the other from the list that several of these share.
Task<> remove_next(Target& target, const std::vector<ObjectId>& ids, std::size_t& next, Status& failure) {
  while (failure.ok() && next < ids.size()) {
    const ObjectId id = ids[next++];
    const Status removed = co_await remove_one(target, id);
    if (!removed.ok() && removed.code != Code::not_found) failure = note_failure(target, "destroy", id, removed);
  }
}

// Some at a time: stores are better at many, and other calls want their turn.
Task<Status> remove_all(Target& target, const std::vector<ObjectId>& ids) {
  std::size_t next = 0;
  Status failure = kOk;
  TaskGroup removals(target.runtime);
  for (std::size_t i = 0; i < std::min(kRemovalsAtOnce, ids.size()); ++i) {
    removals.spawn(remove_next(target, ids, next, failure));
  }
  co_await removals.join();
  co_return failure;
}

}  // namespace

Task<Status> destroy(Target& target, const fs::ObjectDestroyRequest& request, const CallIdentity& call) {
  if (request.objects.empty()) co_return kOk;
  // Marked first: a write that waits behind the removal must not make the object anew.
  target.index.mark_destroyed(request.objects);
  for (const ObjectId& id : request.objects) target.kept.erase(id);
  const Status removed = co_await remove_all(target, request.objects);
  if (!removed.ok()) co_return removed;
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
