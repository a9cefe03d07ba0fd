// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/object_target_calls.hpp"

#include "plugins/fs/codec.hpp"

namespace rideau::mds {

namespace {
constexpr std::uint32_t kSpaceMs = 1'000;
constexpr std::uint32_t kFenceMs = 5'000;  // others wait for the locks of a client that is gone meanwhile
}  // namespace

void ObjectTargetCalls::add_target(fs::TargetId target, rpc::ClientSession& session) {
  sessions_[target] = &session;
  channels_[target] = std::make_unique<fs::SessionChannel>(session);
}

fs::ObjectChannel* ObjectTargetCalls::channel(fs::TargetId target) {
  const auto at = channels_.find(target);
  return at == channels_.end() ? nullptr : at->second.get();
}

std::uint64_t ObjectTargetCalls::losses(fs::TargetId target) const {
  const auto at = losses_.find(target);
  return at == losses_.end() ? 0 : at->second;
}

Task<Status> ObjectTargetCalls::destroy(fs::TargetId target, std::vector<ObjectId> objects) {
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

Task<Status> ObjectTargetCalls::fence(fs::TargetId target, Uuid client, std::uint64_t session) {
  const auto at = sessions_.find(target);
  if (at == sessions_.end()) co_return Status{Code::not_found, 0, "no such object target in this cluster"};
  fs::ObjectFenceRequest request;
  request.client = client;
  request.target = own_;
  request.session = session;
  wire::Encoded body;
  fs::encode(request, body);
  rpc::Request call;
  call.method = static_cast<std::uint16_t>(fs::ObjectMethod::fence);
  call.deadline_ms = kFenceMs;
  call.body = body.bytes();
  const rpc::Reply reply = co_await at->second->call(call);
  co_return reply.status;
}

Task<Result<std::uint64_t>> ObjectTargetCalls::bytes_free(fs::TargetId target) {
  const auto at = sessions_.find(target);
  if (at == sessions_.end()) co_return Status{Code::not_found, 0, "no such object target in this cluster"};
  rpc::Request call;
  call.method = static_cast<std::uint16_t>(fs::ObjectMethod::stat_file_system);
  call.deadline_ms = kSpaceMs;
  const rpc::Reply reply = co_await at->second->call(call);
  if (!reply.ok()) co_return reply.status;
  fs::ObjectStatFileSystemReply found;
  const Status decoded = fs::decode(reply.body, &found);
  if (!decoded.ok()) co_return decoded;
  co_return found.bytes_free;
}

Task<Result<std::vector<ObjectId>>> ObjectTargetCalls::list(fs::TargetId target, ObjectId after, fs::InodeId end) {
  const auto at = sessions_.find(target);
  if (at == sessions_.end()) co_return Status{Code::not_found, 0, "no such object target in this cluster"};
  fs::ObjectListRequest request;
  request.after = after;
  request.end = end;
  request.count = kObjectsMax;
  wire::Encoded body;
  fs::encode(request, body);
  rpc::Request call;
  call.method = static_cast<std::uint16_t>(fs::ObjectMethod::list);
  call.body = body.bytes();
  const rpc::Reply reply = co_await at->second->call(call);
  if (!reply.ok()) co_return reply.status;
  fs::ObjectListReply found;
  const Status decoded = fs::decode(reply.body, &found);
  if (!decoded.ok()) co_return decoded;
  co_return std::move(found.objects);
}

}  // namespace rideau::mds
