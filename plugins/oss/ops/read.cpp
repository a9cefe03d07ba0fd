// SPDX-License-Identifier: Apache-2.0
// read: bytes of an object. What does not exist, or lies beyond the end, is not sent: it reads as zeros.
#include "plugins/fs/codec.hpp"
#include "plugins/oss/store_io.hpp"
#include "plugins/oss/target.hpp"

#include <algorithm>

namespace rideau::oss {

namespace {

class ReplyRoom final : public ReadRoom {
 public:
  explicit ReplyRoom(rpc::ServerCall& call) : call_(call) {}
  Task<rpc::ServerCall::Room> take(std::uint64_t size) override { return call_.reply_room(size); }

 private:
  rpc::ServerCall& call_;
};

Task<Result<ReadDone>> read_locked(Target& target, const fs::ObjectReadRequest& request, std::uint64_t size_max,
                                   ReadRoom& room) {
  ReadDone done;
  ObjectStat stat{};
  const Outcome found =
      co_await submit([&](Completion& completion) { return target.store.stat(request.object, &stat, completion); });
  if (found.status.code == Code::not_found) co_return done;
  if (!found.ok()) co_return note_failure(target, "stat", request.object, found.status);
  done.reply.object_size = stat.size;
  if (request.offset >= stat.size) co_return done;
  const std::uint64_t size = std::min({request.size, stat.size - request.offset, size_max});
  if (size == 0) co_return done;
  const rpc::ServerCall::Room bytes = co_await room.take(size);
  const Outcome read =
      co_await read_object(target.store, request.object, request.offset, bytes.parts, bytes.part_count);
  if (!read.ok()) co_return note_failure(target, "read", request.object, read.status);
  done.bytes = read.value;
  co_return done;
}

}  // namespace

Task<Result<ReadDone>> read(Target& target, const fs::ObjectReadRequest& request, std::uint64_t size_max,
                            ReadRoom& room) {
  ObjectLocks::Hold hold(target.runtime, request.object, request.offset, request.offset + request.size, false);
  co_await target.locks.lock(hold);
  Result<ReadDone> done = co_await read_locked(target, request, size_max, room);
  target.locks.unlock(hold);
  co_return done;
}

Task<> handle_read(Target& target, rpc::ServerCall& call) {
  fs::ObjectReadRequest request;
  Status status = fs::decode(call.body(), &request);
  wire::Encoded body;
  std::uint64_t bytes = 0;
  if (status.ok()) {
    ReplyRoom room(call);
    Result<ReadDone> done = co_await read(target, request, call.room_bytes(), room);
    status = done.status();
    if (done.ok()) {
      bytes = done->bytes;
      fs::encode(done->reply, body);
    }
  }
  co_await call.reply(status, body.bytes(), 0, bytes);
}

}  // namespace rideau::oss
