// SPDX-License-Identifier: Apache-2.0
// Typed calls over a session. A malformed answer is the server's mistake: EIO.
#include "plugins/client/object_client.hpp"

#include "plugins/fs/codec.hpp"

#include <cerrno>

namespace rideau::client {

namespace {

constexpr Status kBadReply{Code::io_error, EIO, "malformed reply of an object target"};

template <class Body>
rpc::Request make_request(fs::ObjectMethod method, const Body& from, wire::Encoded& body) {
  fs::encode(from, body);
  rpc::Request request;
  request.method = static_cast<std::uint16_t>(method);
  request.body = body.bytes();
  // Offsets and versions are chosen under a lock of the metadata server, which a restart of this target does not touch.
  request.outlives_restart = true;
  return request;
}

}  // namespace

Task<Result<std::uint64_t>> SessionChannel::read(fs::ObjectReadRequest request, const IoVec* room,
                                                 std::uint32_t parts) {
  wire::Encoded body;
  rpc::Request call = make_request(fs::ObjectMethod::read, request, body);
  call.room = room;
  call.room_parts = parts;
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  fs::ObjectReadReply decoded;
  if (!fs::decode(reply.body, &decoded).ok() || reply.payload_bytes > request.size) co_return kBadReply;
  co_return reply.payload_bytes;
}

Task<Result<fs::ObjectWriteReply>> SessionChannel::write(fs::ObjectWriteRequest request, const IoVec* data,
                                                         std::uint32_t parts) {
  wire::Encoded body;
  rpc::Request call = make_request(fs::ObjectMethod::write, request, body);
  // Idempotent, but a copy of it that comes late must not undo a write that came after: the target answers a resend
  // from what it kept.
  call.modifies = true;
  call.payload = data;
  call.payload_parts = parts;
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  fs::ObjectWriteReply decoded;
  if (!fs::decode(reply.body, &decoded).ok()) co_return kBadReply;
  co_return decoded;
}

// A call that carries a version.
template <class Request>
Task<Status> SessionChannel::change(fs::ObjectMethod method, Request request, std::uint64_t* seen) {
  wire::Encoded body;
  rpc::Request call = make_request(method, request, body);
  call.modifies = true;
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok() && reply.status.code != Code::check_failed) co_return reply.status;
  fs::ObjectVersionReply decoded;
  if (!fs::decode(reply.body, &decoded).ok()) co_return kBadReply;
  *seen = decoded.version;
  co_return reply.status;
}

Task<Status> SessionChannel::truncate(fs::ObjectTruncateRequest request, std::uint64_t* seen) {
  return change(fs::ObjectMethod::truncate, request, seen);
}
Task<Status> SessionChannel::punch(fs::ObjectPunchRequest request, std::uint64_t* seen) {
  return change(fs::ObjectMethod::punch, request, seen);
}
Task<Status> SessionChannel::allocate(fs::ObjectAllocateRequest request, std::uint64_t* seen) {
  return change(fs::ObjectMethod::allocate, request, seen);
}

Task<Result<fs::ObjectFindDataReply>> SessionChannel::find_data(fs::ObjectFindDataRequest request) {
  wire::Encoded body;
  const rpc::Request call = make_request(fs::ObjectMethod::find_data, request, body);
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  fs::ObjectFindDataReply decoded;
  if (!fs::decode(reply.body, &decoded).ok()) co_return kBadReply;
  co_return decoded;
}

Task<Result<fs::ObjectStatReply>> SessionChannel::stat(fs::ObjectStatRequest request) {
  wire::Encoded body;
  const rpc::Request call = make_request(fs::ObjectMethod::stat, request, body);
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  fs::ObjectStatReply decoded;
  const Status status = fs::decode(reply.body, &decoded);
  if (!status.ok() || decoded.items.size() != request.objects.size()) co_return kBadReply;
  co_return decoded;
}

Task<Status> SessionChannel::sync(fs::ObjectSyncRequest request) {
  wire::Encoded body;
  const rpc::Request call = make_request(fs::ObjectMethod::sync, request, body);
  const rpc::Reply reply = co_await session_.call(call);
  co_return reply.status;
}

Task<Result<fs::ObjectStatFileSystemReply>> SessionChannel::stat_file_system() {
  rpc::Request call;
  call.method = static_cast<std::uint16_t>(fs::ObjectMethod::stat_file_system);
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  fs::ObjectStatFileSystemReply decoded;
  if (!fs::decode(reply.body, &decoded).ok()) co_return kBadReply;
  co_return decoded;
}

}  // namespace rideau::client
