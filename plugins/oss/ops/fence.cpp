// SPDX-License-Identifier: Apache-2.0
// fence: a client whose locks went to others changes nothing here any more (fences.hpp).
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

namespace rideau::oss {

Task<> handle_fence(Target& target, rpc::ServerCall& call) {
  fs::ObjectFenceRequest request;
  Status status = fs::decode(call.body(), &request);
  if (status.ok()) status = co_await target.fences.fence(request);
  co_await call.reply(status, Bytes{});
}

}  // namespace rideau::oss
