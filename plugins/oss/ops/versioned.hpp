// SPDX-License-Identifier: Apache-2.0
// Changes of an object that carry a version (truncate, punch, allocate): a version seen already was done, an older one
// is refused with the newest (object_calls.hpp). And the shape that these calls, and those that only look, have in
// common.
#pragma once

#include "framework/base/sim_hooks.hpp"
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

#include <string>

namespace rideau::oss {

// `change(target, request)` does it to the store, with the whole object locked, unless it was done before; its range
// must be one that the store can hold. `name` is for the log.
template <class Request, class Change>
Task<Status> change_locked(Target& target, const Request& request, std::uint64_t offset, std::uint64_t size,
                           const CallIdentity& call, fs::ObjectVersionReply* reply, const char* name, Change change) {
  const Status allowed = check_writable(target, request.object, offset, size);
  if (!allowed.ok()) co_return allowed;
  const Result<std::uint64_t> seen = target.index.version(request.object);
  if (!seen.ok()) co_return note_failure(target, std::string(name) + " (version)", request.object, seen.status());
  reply->version = *seen;
  if (request.version == *seen && request.version != 0) {
    RIDEAU_MARK(object_change_was_done);
    co_return kOk;
  }
  if (request.version <= *seen) {
    RIDEAU_MARK(object_change_out_of_order);
    co_return Status{Code::check_failed, 0, "a change with an old version"};
  }
  const Status done = co_await change(target, request);
  if (!done.ok()) co_return note_failure(target, name, request.object, done);
  const Status stored = co_await target.index.set_version(request.object, request.version, call);
  if (!stored.ok()) co_return note_failure(target, std::string(name) + " (index)", request.object, stored);
  reply->version = request.version;
  co_return kOk;
}

template <class Request, class Change>
Task<Status> change_once(Target& target, const Request& request, std::uint64_t offset, std::uint64_t size,
                         const CallIdentity& call, fs::ObjectVersionReply* reply, const char* name, Change change) {
  ObjectLocks::Hold hold(target.runtime, request.object, 0, kWholeObject, true);
  co_await target.locks.lock(hold);
  const Status done = co_await change_locked(target, request, offset, size, call, reply, name, change);
  target.locks.unlock(hold);
  co_return done;
}

// The call around a change: `change(target, request, identity, reply)`.
template <class Request, class Change>
Task<> handle_change(Target& target, rpc::ServerCall& call, Change change) {
  Request request;
  fs::ObjectVersionReply reply;
  Status status = fs::decode(call.body(), &request);
  const CallIdentity identity = identity_of(call);
  if (status.ok()) status = co_await change(target, request, identity, &reply);
  wire::Encoded body;
  fs::encode(reply, body);
  co_await call.reply(status, body.bytes());
}

// The call around `look(target, request)`, which answers a Result of what is sent back.
template <class Request, class Look>
Task<> handle_look(Target& target, rpc::ServerCall& call, Look look) {
  Request request;
  wire::Encoded body;
  Status status = fs::decode(call.body(), &request);
  if (status.ok()) {
    const auto done = co_await look(target, request);
    status = done.status();
    if (done.ok()) fs::encode(*done, body);
  }
  co_await call.reply(status, body.bytes());
}

}  // namespace rideau::oss
