// SPDX-License-Identifier: Apache-2.0
// fence: a client whose locks went to others changes nothing here any more (fences.hpp), and what it changed is
// durable: nobody could make that again when the next one has changed it too.
#include "plugins/fs/codec.hpp"
#include "plugins/oss/target.hpp"

namespace rideau::oss {

Task<Status> fence(Target& target, const fs::ObjectFenceRequest& request) {
  const Status fenced = co_await target.fences.fence(request);
  // A store that fails says so to everybody who asks for durability, and has said so in the log; the fence stands.
  if (fenced.ok()) static_cast<void>(co_await sync(target, {}));
  co_return fenced;
}

Task<> handle_fence(Target& target, rpc::ServerCall& call) {
  fs::ObjectFenceRequest request;
  Status status = fs::decode(call.body(), &request);
  if (status.ok()) status = co_await fence(target, request);
  co_await call.reply(status, Bytes{});
}

}  // namespace rideau::oss
