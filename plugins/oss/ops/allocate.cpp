// SPDX-License-Identifier: Apache-2.0
// allocate: space for a range is kept, and with `zero` the range reads as zero. What other clients may still write on
// their grants is not given away.
#include "plugins/oss/ops/versioned.hpp"

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

}  // namespace

Task<Status> allocate(Target& target, const fs::ObjectAllocateRequest& request, const CallIdentity& call,
                      fs::ObjectVersionReply* reply) {
  return change_once(target, request, request.offset, request.size, call, reply, "allocate", allocate_range);
}

Task<> handle_allocate(Target& target, rpc::ServerCall& call) {
  return handle_change<fs::ObjectAllocateRequest>(target, call, allocate);
}

}  // namespace rideau::oss
