// SPDX-License-Identifier: Apache-2.0
// ObjectChannel: the calls of one object target, typed. Who reads and writes objects is written against it;
// SessionChannel speaks to a real target through a session, tests have one in memory.
#pragma once

#include "framework/base/result.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/fs/object_calls.hpp"

#include <cstdint>
#include <vector>

namespace rideau::fs {

// All views are lent until the call ended; requests are taken by value, since they live across its suspension.
class ObjectChannel {
 public:
  virtual ~ObjectChannel() = default;
  // value = bytes that arrived, from the start of the room; short at the end of the object (or where there is none).
  virtual Task<Result<std::uint64_t>> read(ObjectReadRequest request, const IoVec* room, std::uint32_t parts) = 0;
  virtual Task<Result<ObjectWriteReply>> write(ObjectWriteRequest request, const IoVec* data, std::uint32_t parts) = 0;
  // Of truncate, punch and allocate: check_failed: the target has seen a newer version, which is in *seen.
  virtual Task<Status> truncate(ObjectTruncateRequest request, std::uint64_t* seen) = 0;
  virtual Task<Status> punch(ObjectPunchRequest request, std::uint64_t* seen) = 0;
  virtual Task<Status> allocate(ObjectAllocateRequest request, std::uint64_t* seen) = 0;
  virtual Task<Result<ObjectFindDataReply>> find_data(ObjectFindDataRequest request) = 0;
  virtual Task<Result<ObjectStatReply>> stat(ObjectStatRequest request) = 0;
  virtual Task<Status> sync(ObjectSyncRequest request) = 0;
  virtual Task<Result<ObjectStatFileSystemReply>> stat_file_system() = 0;
  // Add to the local wall clock to have the target's.
  virtual std::int64_t time_offset_ns() const noexcept = 0;
};

class SessionChannel final : public ObjectChannel {
 public:
  explicit SessionChannel(rpc::ClientSession& session) : session_(session) {}
  Task<Result<std::uint64_t>> read(ObjectReadRequest request, const IoVec* room, std::uint32_t parts) override;
  Task<Result<ObjectWriteReply>> write(ObjectWriteRequest request, const IoVec* data, std::uint32_t parts) override;
  Task<Status> truncate(ObjectTruncateRequest request, std::uint64_t* seen) override;
  Task<Status> punch(ObjectPunchRequest request, std::uint64_t* seen) override;
  Task<Status> allocate(ObjectAllocateRequest request, std::uint64_t* seen) override;
  Task<Result<ObjectFindDataReply>> find_data(ObjectFindDataRequest request) override;
  Task<Result<ObjectStatReply>> stat(ObjectStatRequest request) override;
  Task<Status> sync(ObjectSyncRequest request) override;
  Task<Result<ObjectStatFileSystemReply>> stat_file_system() override;
  std::int64_t time_offset_ns() const noexcept override { return session_.time_offset_ns(); }

 private:
  template <class Request>
  Task<Status> change(ObjectMethod method, Request request, std::uint64_t* seen);
  rpc::ClientSession& session_;
};

}  // namespace rideau::fs
