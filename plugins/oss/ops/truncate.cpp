// SPDX-License-Identifier: Apache-2.0
// truncate: sets the size of an object.
#include "plugins/oss/ops/versioned.hpp"

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

}  // namespace

Task<Status> truncate(Target& target, const fs::ObjectTruncateRequest& request, const CallIdentity& call,
                      fs::ObjectVersionReply* reply) {
  return change_once(target, request, request.size, 0, call, reply, "truncate", resize);
}

Task<> handle_truncate(Target& target, rpc::ServerCall& call) {
  return handle_change<fs::ObjectTruncateRequest>(target, call, truncate);
}

}  // namespace rideau::oss
