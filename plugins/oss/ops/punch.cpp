// SPDX-License-Identifier: Apache-2.0
// punch: a range of an object reads as zero, its space is freed, its size stays. Versions as with truncate.
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

namespace rideau::oss {

namespace {

Task<Status> punch_locked(Target& target, const fs::ObjectPunchRequest& request, const CallIdentity& call,
                          fs::ObjectVersionReply* reply) {
  const Status allowed = check_writable(target, request.object, request.offset, request.size);
  if (!allowed.ok()) co_return allowed;
  const Result<std::uint64_t> seen = target.index.version(request.object);
  if (!seen.ok()) co_return note_failure(target, "punch (version)", request.object, seen.status());
  reply->version = *seen;
  if (request.version == *seen && request.version != 0) co_return kOk;
  if (request.version <= *seen) co_return Status{Code::check_failed, 0, "punch with an old version"};
  const Outcome done = co_await submit([&](Completion& completion) {
    return target.store.punch(request.object, request.offset, request.size, completion);
  });
  // What does not exist reads as zero already.
  if (!done.ok() && done.status.code != Code::not_found) {
    co_return note_failure(target, "punch", request.object, done.status);
  }
  const Status stored = co_await target.index.set_version(request.object, request.version, call);
  if (!stored.ok()) co_return note_failure(target, "punch (index)", request.object, stored);
  reply->version = request.version;
  co_return kOk;
}

}  // namespace

Task<Status> punch(Target& target, const fs::ObjectPunchRequest& request, const CallIdentity& call,
                   fs::ObjectVersionReply* reply) {
  ObjectLocks::Hold hold(target.runtime, request.object, 0, kWholeObject, true);
  co_await target.locks.lock(hold);
  const Status done = co_await punch_locked(target, request, call, reply);
  target.locks.unlock(hold);
  co_return done;
}

Task<> handle_punch(Target& target, rpc::ServerCall& call) {
  fs::ObjectPunchRequest request;
  fs::ObjectVersionReply reply;
  Status status = fs::decode(call.body(), &request);
  const CallIdentity identity = identity_of(call);
  if (status.ok()) status = co_await punch(target, request, identity, &reply);
  wire::Encoded body;
  fs::encode(reply, body);
  co_await call.reply(status, body.bytes());
}

}  // namespace rideau::oss
