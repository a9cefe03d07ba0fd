// SPDX-License-Identifier: Apache-2.0
// list: which objects there are, in ascending order, a portion a call.
#include "plugins/oss/ops/versioned.hpp"

namespace rideau::oss {

Task<Result<fs::ObjectListReply>> list(Target& target, const fs::ObjectListRequest& request) {
  fs::ObjectListReply reply;
  reply.objects.resize(request.count);
  const bool from_start = request.after == ObjectId{};
  const Outcome found = co_await submit([&](Completion& completion) {
    return target.store.list(from_start ? nullptr : &request.after, reply.objects.data(), request.count, completion);
  });
  if (!found.ok()) co_return note_failure(target, "list", request.after, found.status);
  reply.objects.resize(found.value);
  while (!reply.objects.empty() && fs::owner_of(reply.objects.back()) >= request.end) reply.objects.pop_back();
  co_return reply;
}

Task<> handle_list(Target& target, rpc::ServerCall& call) {
  return handle_look<fs::ObjectListRequest>(target, call, list);
}

}  // namespace rideau::oss
