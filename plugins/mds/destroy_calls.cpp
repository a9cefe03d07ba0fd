// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/destroy_calls.hpp"

#include "plugins/fs/codec.hpp"

namespace rideau::mds {

Task<Status> DestroyCalls::destroy(fs::TargetId target, std::vector<ObjectId> objects) {
  const auto at = sessions_.find(target);
  if (at == sessions_.end()) co_return Status{Code::not_found, 0, "no such object target in this cluster"};
  fs::ObjectDestroyRequest request;
  request.objects = std::move(objects);
  wire::Encoded body;
  fs::encode(request, body);
  rpc::Request call;
  call.method = static_cast<std::uint16_t>(fs::ObjectMethod::destroy);
  call.modifies = true;
  call.body = body.bytes();
  const rpc::Reply reply = co_await at->second->call(call);
  co_return reply.status;
}

}  // namespace rideau::mds
