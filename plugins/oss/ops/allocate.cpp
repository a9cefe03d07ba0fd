// SPDX-License-Identifier: Apache-2.0
// allocate: space for a range is kept, and with `zero` the range reads as zero. Versions as with truncate. What other
// clients may still write on their grants is not given away.
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

#include <algorithm>

namespace rideau::oss {

namespace {

Task<Status> keep_space(Target& target, const fs::ObjectAllocateRequest& request) {
  const Outcome done = co_await submit([&](Completion& completion) {
    return target.store.allocate(request.object, request.offset, request.size, completion);
  });
  co_return done.status;
}

// Space first: a range that does not fit keeps its bytes. Making it zero may give the space back, so once more after.
Task<Status> allocate_range(Target& target, const fs::ObjectAllocateRequest& request) {
  ObjectStat before{};
  const Outcome found =
      co_await submit([&](Completion& completion) { return target.store.stat(request.object, &before, completion); });
  if (!found.ok() && found.status.code != Code::not_found) co_return found.status;
  // At least; the store alone knows how much of what the object uses lies in the range.
  const std::uint64_t needed = request.size - std::min(request.size, before.bytes_used);
  if (!fits_beside_grants(target, needed)) co_return Status{Code::no_space, 0, "space is promised to others"};
  Status status = co_await keep_space(target, request);
  if (status.ok()) target.kept.insert(request.object);
  if (!status.ok() || !request.zero) co_return status;
  const Outcome punched = co_await submit([&](Completion& completion) {
    return target.store.punch(request.object, request.offset, request.size, completion);
  });
  if (!punched.ok()) co_return punched.status;
  status = co_await keep_space(target, request);
  co_return status;
}

Task<Status> allocate_locked(Target& target, const fs::ObjectAllocateRequest& request, const CallIdentity& call,
                             fs::ObjectVersionReply* reply) {
  const Status allowed = check_writable(target, request.object, request.offset, request.size);
  if (!allowed.ok()) co_return allowed;
  const Result<std::uint64_t> seen = target.index.version(request.object);
  if (!seen.ok()) co_return note_failure(target, "allocate (version)", request.object, seen.status());
  reply->version = *seen;
  if (request.version == *seen && request.version != 0) co_return kOk;
  if (request.version <= *seen) co_return Status{Code::check_failed, 0, "allocate with an old version"};
  const Status done = co_await allocate_range(target, request);
  if (!done.ok()) co_return note_failure(target, "allocate", request.object, done);
  const Status stored = co_await target.index.set_version(request.object, request.version, call);
  if (!stored.ok()) co_return note_failure(target, "allocate (index)", request.object, stored);
  reply->version = request.version;
  co_return kOk;
}

}  // namespace

Task<Status> allocate(Target& target, const fs::ObjectAllocateRequest& request, const CallIdentity& call,
                      fs::ObjectVersionReply* reply) {
  ObjectLocks::Hold hold(target.runtime, request.object, 0, kWholeObject, true);
  co_await target.locks.lock(hold);
  const Status done = co_await allocate_locked(target, request, call, reply);
  target.locks.unlock(hold);
  co_return done;
}

Task<> handle_allocate(Target& target, rpc::ServerCall& call) {
  fs::ObjectAllocateRequest request;
  fs::ObjectVersionReply reply;
  Status status = fs::decode(call.body(), &request);
  const CallIdentity identity = identity_of(call);
  if (status.ok()) status = co_await allocate(target, request, identity, &reply);
  wire::Encoded body;
  fs::encode(reply, body);
  co_await call.reply(status, body.bytes());
}

}  // namespace rideau::oss
