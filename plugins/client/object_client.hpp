// SPDX-License-Identifier: Apache-2.0
// ObjectChannel: the calls of one object target, typed. The data path is written against it; SessionChannel speaks to a
// real target through a session, tests have one in memory.
#pragma once

#include "framework/base/result.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/fs/object_calls.hpp"

#include <cstdint>
#include <vector>

namespace rideau::client {

// All views are lent until the call ended; requests are taken by value, since they live across its suspension.
class ObjectChannel {
 public:
  virtual ~ObjectChannel() = default;
  // value = bytes that arrived, from the start of the room; short at the end of the object (or where there is none).
  virtual Task<Result<std::uint64_t>> read(fs::ObjectReadRequest request, const IoVec* room, std::uint32_t parts) = 0;
  virtual Task<Result<fs::ObjectWriteReply>> write(fs::ObjectWriteRequest request, const IoVec* data,
                                                   std::uint32_t parts) = 0;
  // Of truncate, punch and allocate: check_failed: the target has seen a newer version, which is in *seen.
  virtual Task<Status> truncate(fs::ObjectTruncateRequest request, std::uint64_t* seen) = 0;
  virtual Task<Status> punch(fs::ObjectPunchRequest request, std::uint64_t* seen) = 0;
  virtual Task<Status> allocate(fs::ObjectAllocateRequest request, std::uint64_t* seen) = 0;
  virtual Task<Result<fs::ObjectFindDataReply>> find_data(fs::ObjectFindDataRequest request) = 0;
  virtual Task<Result<fs::ObjectStatReply>> stat(fs::ObjectStatRequest request) = 0;
  virtual Task<Status> sync(fs::ObjectSyncRequest request) = 0;
  virtual Task<Result<fs::ObjectStatFileSystemReply>> stat_file_system() = 0;
  // Add to the local wall clock to have the target's.
  virtual std::int64_t time_offset_ns() const noexcept = 0;
};

class SessionChannel final : public ObjectChannel {
 public:
  explicit SessionChannel(rpc::ClientSession& session) : session_(session) {}
  Task<Result<std::uint64_t>> read(fs::ObjectReadRequest request, const IoVec* room, std::uint32_t parts) override;
  Task<Result<fs::ObjectWriteReply>> write(fs::ObjectWriteRequest request, const IoVec* data,
                                           std::uint32_t parts) override;
  Task<Status> truncate(fs::ObjectTruncateRequest request, std::uint64_t* seen) override;
  Task<Status> punch(fs::ObjectPunchRequest request, std::uint64_t* seen) override;
  Task<Status> allocate(fs::ObjectAllocateRequest request, std::uint64_t* seen) override;
  Task<Result<fs::ObjectFindDataReply>> find_data(fs::ObjectFindDataRequest request) override;
  Task<Result<fs::ObjectStatReply>> stat(fs::ObjectStatRequest request) override;
  Task<Status> sync(fs::ObjectSyncRequest request) override;
  Task<Result<fs::ObjectStatFileSystemReply>> stat_file_system() override;
  std::int64_t time_offset_ns() const noexcept override { return session_.time_offset_ns(); }

 private:
  template <class Request>
  Task<Status> change(fs::ObjectMethod method, Request request, std::uint64_t* seen);
  rpc::ClientSession& session_;
};

}  // namespace rideau::client
