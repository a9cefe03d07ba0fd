// SPDX-License-Identifier: Apache-2.0
// Typed calls over a session. A malformed answer is the server's mistake: EIO.
#include "plugins/fs/object_channel.hpp"

#include "plugins/fs/codec.hpp"

#include <cerrno>

namespace rideau::fs {

namespace {

constexpr Status kBadReply{Code::io_error, EIO, "malformed reply of an object target"};

template <class Body>
rpc::Request make_request(ObjectMethod method, const Body& from, wire::Encoded& body) {
  encode(from, body);
  rpc::Request request;
  request.method = static_cast<std::uint16_t>(method);
  request.body = body.bytes();
  // Offsets and versions are chosen under a lock of the metadata server, which a restart of this target does not touch.
  request.outlives_restart = true;
  return request;
}

}  // namespace

Task<Result<std::uint64_t>> SessionChannel::read(ObjectReadRequest request, const IoVec* room, std::uint32_t parts) {
  wire::Encoded body;
  rpc::Request call = make_request(ObjectMethod::read, request, body);
  call.room = room;
  call.room_parts = parts;
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  ObjectReadReply decoded;
  if (!decode(reply.body, &decoded).ok() || reply.payload_bytes > request.size) co_return kBadReply;
  co_return reply.payload_bytes;
}

Task<Result<ObjectWriteReply>> SessionChannel::write(ObjectWriteRequest request, const IoVec* data,
                                                     std::uint32_t parts) {
  wire::Encoded body;
  rpc::Request call = make_request(ObjectMethod::write, request, body);
  // Idempotent, but a copy of it that comes late must not undo a write that came after: the target answers a resend
  // from what it kept.
  call.modifies = true;
  call.payload = data;
  call.payload_parts = parts;
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  ObjectWriteReply decoded;
  if (!decode(reply.body, &decoded).ok()) co_return kBadReply;
  co_return decoded;
}

// A call that carries a version.
template <class Request>
Task<Status> SessionChannel::change(ObjectMethod method, Request request, std::uint64_t* seen) {
  wire::Encoded body;
  rpc::Request call = make_request(method, request, body);
  call.modifies = true;
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok() && reply.status.code != Code::check_failed) co_return reply.status;
  ObjectVersionReply decoded;
  if (!decode(reply.body, &decoded).ok()) co_return kBadReply;
  *seen = decoded.version;
  co_return reply.status;
}

Task<Status> SessionChannel::truncate(ObjectTruncateRequest request, std::uint64_t* seen) {
  return change(ObjectMethod::truncate, request, seen);
}
Task<Status> SessionChannel::punch(ObjectPunchRequest request, std::uint64_t* seen) {
  return change(ObjectMethod::punch, request, seen);
}
Task<Status> SessionChannel::allocate(ObjectAllocateRequest request, std::uint64_t* seen) {
  return change(ObjectMethod::allocate, request, seen);
}

Task<Result<ObjectFindDataReply>> SessionChannel::find_data(ObjectFindDataRequest request) {
  wire::Encoded body;
  const rpc::Request call = make_request(ObjectMethod::find_data, request, body);
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  ObjectFindDataReply decoded;
  if (!decode(reply.body, &decoded).ok()) co_return kBadReply;
  co_return decoded;
}

Task<Result<ObjectStatReply>> SessionChannel::stat(ObjectStatRequest request) {
  wire::Encoded body;
  const rpc::Request call = make_request(ObjectMethod::stat, request, body);
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  ObjectStatReply decoded;
  const Status status = decode(reply.body, &decoded);
  if (!status.ok() || decoded.items.size() != request.objects.size()) co_return kBadReply;
  co_return decoded;
}

Task<Status> SessionChannel::sync(ObjectSyncRequest request) {
  wire::Encoded body;
  const rpc::Request call = make_request(ObjectMethod::sync, request, body);
  const rpc::Reply reply = co_await session_.call(call);
  co_return reply.status;
}

Task<Result<ObjectStatFileSystemReply>> SessionChannel::stat_file_system() {
  rpc::Request call;
  call.method = static_cast<std::uint16_t>(ObjectMethod::stat_file_system);
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  ObjectStatFileSystemReply decoded;
  if (!decode(reply.body, &decoded).ok()) co_return kBadReply;
  co_return decoded;
}

}  // namespace rideau::fs
