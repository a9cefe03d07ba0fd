// SPDX-License-Identifier: Apache-2.0
// What the operations of one object target share, and the operations themselves. Each has two parts in its file under
// ops/: what it does to the store, and the call around it.
#pragma once

#include "framework/observe/log.hpp"
#include "framework/rpc/server.hpp"
#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/fs/object_calls.hpp"
#include "plugins/oss/fences.hpp"
#include "plugins/oss/grants.hpp"
#include "plugins/oss/index.hpp"
#include "plugins/oss/object_locks.hpp"
#include "rideau/object_store.hpp"

#include <optional>
#include <set>
#include <string_view>

namespace rideau::oss {

struct Target {
  Runtime& runtime;
  Logger& log;
  ObjectStore& store;
  OssIndex& index;
  ObjectLocks locks;
  Grants grants;
  Fences fences;
  bool checksums = false;     // the store says when bytes are not what was written
  std::set<ObjectId> kept{};  // objects that space was kept for in this epoch
};

constexpr std::uint64_t kWholeObject = ~0ull;  // end of a range that covers everything

// A corrupt object or a failing device is logged with what was being done; the client gets the status.
Status note_failure(Target& target, std::string_view what, ObjectId id, Status status);
// ESTALE when the object was destroyed, EFBIG when the range is beyond what the store holds.
Status check_writable(Target& target, ObjectId id, std::uint64_t offset, std::uint64_t size);
std::optional<FreeSpace> free_space(Target& target);
// Whether so much more can be used without breaking what was promised to writers.
bool fits_beside_grants(Target& target, std::uint64_t bytes);
CallIdentity identity_of(rpc::ServerCall& call);

// The store side. Ranges are locked inside.
Task<Result<fs::ObjectWriteReply>> write(Target& target, std::uint64_t session, const fs::ObjectWriteRequest& request,
                                         const IoVec* parts, std::uint32_t count);
// A resized or punched object; the reply is right also when the status is check_failed.
Task<Status> truncate(Target& target, const fs::ObjectTruncateRequest& request, const CallIdentity& call,
                      fs::ObjectVersionReply* reply);
Task<Status> punch(Target& target, const fs::ObjectPunchRequest& request, const CallIdentity& call,
                   fs::ObjectVersionReply* reply);
Task<Status> allocate(Target& target, const fs::ObjectAllocateRequest& request, const CallIdentity& call,
                      fs::ObjectVersionReply* reply);
Task<Result<fs::ObjectFindDataReply>> find_data(Target& target, const fs::ObjectFindDataRequest& request);
Task<Result<fs::ObjectStatReply>> stat(Target& target, const fs::ObjectStatRequest& request);
Task<Status> sync(Target& target, const fs::ObjectSyncRequest& request);
Task<Status> fence(Target& target, const fs::ObjectFenceRequest& request);
Task<Status> destroy(Target& target, const fs::ObjectDestroyRequest& request, const CallIdentity& call);
Result<fs::ObjectStatFileSystemReply> stat_file_system(Target& target);
Task<Result<fs::ObjectVerifyReply>> verify(Target& target, const fs::ObjectVerifyRequest& request);
Task<Result<fs::ObjectListReply>> list(Target& target, const fs::ObjectListRequest& request);

// Where a read finds room for its bytes, once it is known how many there are.
class ReadRoom {
 public:
  virtual Task<rpc::ServerCall::Room> take(std::uint64_t size) = 0;

 protected:
  ~ReadRoom() = default;
};
struct ReadDone {
  fs::ObjectReadReply reply{};
  std::uint64_t bytes = 0;
};
// At most `size_max` bytes, whatever was asked for.
Task<Result<ReadDone>> read(Target& target, const fs::ObjectReadRequest& request, std::uint64_t size_max,
                            ReadRoom& room);

// The calls.
Task<> handle_read(Target& target, rpc::ServerCall& call);
Task<> handle_write(Target& target, rpc::ServerCall& call);
Task<> handle_truncate(Target& target, rpc::ServerCall& call);
Task<> handle_punch(Target& target, rpc::ServerCall& call);
Task<> handle_allocate(Target& target, rpc::ServerCall& call);
Task<> handle_find_data(Target& target, rpc::ServerCall& call);
Task<> handle_stat(Target& target, rpc::ServerCall& call);
Task<> handle_sync(Target& target, rpc::ServerCall& call);
Task<> handle_destroy(Target& target, rpc::ServerCall& call);
Task<> handle_stat_file_system(Target& target, rpc::ServerCall& call);
Task<> handle_list(Target& target, rpc::ServerCall& call);
Task<> handle_fence(Target& target, rpc::ServerCall& call);
Task<> handle_verify(Target& target, rpc::ServerCall& call);

}  // namespace rideau::oss
