// SPDX-License-Identifier: Apache-2.0
// write: bytes into an object, and grants back; one of no bytes only asks for a grant. A write is idempotent where it
// lies, so it needs no record in the index.
#include "plugins/fs/codec.hpp"
#include "plugins/fs/object_parts.hpp"
#include "plugins/oss/store_io.hpp"
#include "plugins/oss/target.hpp"

#include <algorithm>

namespace rideau::oss {

namespace {

// A write that no grant covers must not take what others were promised. What has its space already takes none.
Task<bool> may_use_space(Target& target, const fs::ObjectWriteRequest& request, std::uint64_t size) {
  constexpr std::uint64_t kPageBytes = 4096;
  const std::uint64_t pages = (request.offset % kPageBytes + size + kPageBytes - 1) / kPageBytes;
  const std::uint64_t needed = request.grant_used >= pages * kPageBytes ? 0 : pages * kPageBytes;
  if (target.kept.contains(request.object) || fits_beside_grants(target, needed)) co_return true;
  ObjectExtent data{};
  const Outcome found = co_await submit([&](Completion& completion) {
    return target.store.find_data(request.object, request.offset, &data, completion);
  });
  if (found.status.code == Code::unsupported) co_return true;
  co_return found.ok() && data.begin <= request.offset&& request.offset + size <= data.end;
}

Task<Status> write_locked(Target& target, const fs::ObjectWriteRequest& request, const IoVec* parts,
                          std::uint32_t count, std::uint64_t* bytes_used) {
  const std::uint64_t size = fs::parts_bytes(parts, count);
  if (const Status allowed = check_writable(target, request.object, request.offset, size); !allowed.ok()) {
    co_return allowed;
  }
  const bool fits = co_await may_use_space(target, request, size);
  if (!fits) co_return Status{Code::no_space, 0, "space is promised to others"};
  const Status written = co_await write_object(target.store, request.object, request.offset, parts, count);
  if (!written.ok()) co_return note_failure(target, "write", request.object, written);
  ObjectStat stat{};
  const Outcome found =
      co_await submit([&](Completion& completion) { return target.store.stat(request.object, &stat, completion); });
  if (found.ok()) *bytes_used = stat.bytes_used;
  co_return kOk;
}

}  // namespace

Task<Result<fs::ObjectWriteReply>> write(Target& target, std::uint64_t session, const fs::ObjectWriteRequest& request,
                                         const IoVec* parts, std::uint32_t count) {
  const std::uint64_t end = request.offset + fs::parts_bytes(parts, count);
  ObjectLocks::Hold hold(target.runtime, request.object, request.offset, end, true);
  co_await target.locks.lock(hold);
  // Used up also when the write fails: the client holds these bytes no longer.
  target.grants.use(session, request.grant_used);
  fs::ObjectWriteReply reply;
  Status written{};
  if (request.offset != end) written = co_await write_locked(target, request, parts, count, &reply.bytes_used);
  target.locks.unlock(hold);
  if (!written.ok()) co_return written;
  if (request.grant_wanted != 0) {
    const std::optional<FreeSpace> space = free_space(target);
    if (space) reply.grant = target.grants.give(session, request.grant_wanted, *space);
  }
  co_return reply;
}

Task<> handle_write(Target& target, rpc::ServerCall& call) {
  fs::ObjectWriteRequest request;
  wire::Encoded body;
  Status status = fs::decode(call.body(), &request);
  if (status.ok()) status = co_await call.fetch_payload();
  if (status.ok()) {
    const std::uint64_t session = call.session().id();
    Result<fs::ObjectWriteReply> done = co_await write(target, session, request, call.payload(), call.payload_parts());
    status = done.status();
    if (done.ok()) fs::encode(*done, body);
  }
  co_await call.reply(status, body.bytes());
}

}  // namespace rideau::oss
