// SPDX-License-Identifier: Apache-2.0
// truncate: sets the size of an object. The version makes it happen once: a version seen already was done, an older one
// is refused with the newest (object_calls.hpp).
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

namespace rideau::oss {

namespace {

// Cutting what does not exist to nothing makes nothing.
Task<Status> resize(Target& target, const fs::ObjectTruncateRequest& request) {
  if (request.size == 0) {
    ObjectStat stat{};
    const Outcome found =
        co_await submit([&](Completion& completion) { return target.store.stat(request.object, &stat, completion); });
    if (found.status.code == Code::not_found) co_return kOk;
  }
  const Outcome done = co_await submit(
      [&](Completion& completion) { return target.store.truncate(request.object, request.size, completion); });
  co_return done.status;
}

Task<Status> truncate_locked(Target& target, const fs::ObjectTruncateRequest& request, const CallIdentity& call,
                             fs::ObjectVersionReply* reply) {
  const Status allowed = check_writable(target, request.object, request.size, 0);
  if (!allowed.ok()) co_return allowed;
  const Result<std::uint64_t> seen = target.index.version(request.object);
  if (!seen.ok()) co_return note_failure(target, "truncate (version)", request.object, seen.status());
  reply->version = *seen;
  if (request.version == *seen && request.version != 0) co_return kOk;
  if (request.version <= *seen) co_return Status{Code::check_failed, 0, "truncate with an old version"};
  const Status resized = co_await resize(target, request);
  if (!resized.ok()) co_return note_failure(target, "truncate", request.object, resized);
  const Status stored = co_await target.index.set_version(request.object, request.version, call);
  if (!stored.ok()) co_return note_failure(target, "truncate (index)", request.object, stored);
  reply->version = request.version;
  co_return kOk;
}

}  // namespace

Task<Status> truncate(Target& target, const fs::ObjectTruncateRequest& request, const CallIdentity& call,
                      fs::ObjectVersionReply* reply) {
  ObjectLocks::Hold hold(target.runtime, request.object, 0, kWholeObject, true);
  co_await target.locks.lock(hold);
  const Status done = co_await truncate_locked(target, request, call, reply);
  target.locks.unlock(hold);
  co_return done;
}

Task<> handle_truncate(Target& target, rpc::ServerCall& call) {
  fs::ObjectTruncateRequest request;
  fs::ObjectVersionReply reply;
  Status status = fs::decode(call.body(), &request);
  const CallIdentity identity = identity_of(call);
  if (status.ok()) status = co_await truncate(target, request, identity, &reply);
  wire::Encoded body;
  fs::encode(reply, body);
  co_await call.reply(status, body.bytes());
}

}  // namespace rideau::oss
