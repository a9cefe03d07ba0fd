// SPDX-License-Identifier: Apache-2.0
// punch: a range of an object reads as zero, its space is freed, its size stays.
#include "plugins/oss/ops/versioned.hpp"

namespace rideau::oss {

namespace {

Task<Status> punch_range(Target& target, const fs::ObjectPunchRequest& request) {
  const Outcome done = co_await submit([&](Completion& completion) {
    return target.store.punch(request.object, request.offset, request.size, completion);
  });
  // What does not exist reads as zero already.
  co_return done.status.code == Code::not_found ? kOk : done.status;
}

}  // namespace

Task<Status> punch(Target& target, const fs::ObjectPunchRequest& request, const CallIdentity& call,
                   fs::ObjectVersionReply* reply) {
  return change_once(target, request, request.offset, request.size, call, reply, "punch", punch_range);
}

Task<> handle_punch(Target& target, rpc::ServerCall& call) {
  return handle_change<fs::ObjectPunchRequest>(target, call, punch);
}

}  // namespace rideau::oss
