// SPDX-License-Identifier: Apache-2.0
// find_data: where the next bytes are that may be other than zero. A store that does not know its holes has none: the
// whole object is data.
#include "plugins/oss/ops/versioned.hpp"

#include <algorithm>

namespace rideau::oss {

Task<Result<fs::ObjectFindDataReply>> find_data(Target& target, const fs::ObjectFindDataRequest& request) {
  ObjectExtent extent{};
  const Outcome found = co_await submit([&](Completion& completion) {
    return target.store.find_data(request.object, request.offset, &extent, completion);
  });
  if (found.status.code == Code::not_found) co_return fs::ObjectFindDataReply{};
  if (found.ok()) co_return fs::ObjectFindDataReply{extent.begin, extent.end};
  if (found.status.code != Code::unsupported) co_return note_failure(target, "find_data", request.object, found.status);
  ObjectStat stat{};
  const Outcome known =
      co_await submit([&](Completion& completion) { return target.store.stat(request.object, &stat, completion); });
  if (known.status.code == Code::not_found) co_return fs::ObjectFindDataReply{};
  if (!known.ok()) co_return note_failure(target, "stat", request.object, known.status);
  co_return fs::ObjectFindDataReply{std::min(request.offset, stat.size), stat.size};
}

Task<> handle_find_data(Target& target, rpc::ServerCall& call) {
  return handle_look<fs::ObjectFindDataRequest>(target, call, find_data);
}

}  // namespace rideau::oss
