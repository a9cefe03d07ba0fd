// SPDX-License-Identifier: Apache-2.0
// stat: sizes of objects, and what they use on the device; zeros where there is none.
#include "plugins/oss/ops/versioned.hpp"

namespace rideau::oss {

Task<Result<fs::ObjectStatReply>> stat(Target& target, const fs::ObjectStatRequest& request) {
  fs::ObjectStatReply reply;
  reply.items.resize(request.objects.size());
  for (std::size_t i = 0; i < request.objects.size(); ++i) {
    const ObjectId id = request.objects[i];
    ObjectStat stat{};
    const Outcome found =
        co_await submit([&](Completion& completion) { return target.store.stat(id, &stat, completion); });
    if (found.status.code == Code::not_found) continue;
    if (!found.ok()) co_return note_failure(target, "stat", id, found.status);
    reply.items[i] = {stat.size, stat.bytes_used};
  }
  co_return reply;
}

Task<> handle_stat(Target& target, rpc::ServerCall& call) {
  return handle_look<fs::ObjectStatRequest>(target, call, stat);
}

}  // namespace rideau::oss
