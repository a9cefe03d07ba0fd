// SPDX-License-Identifier: Apache-2.0
// What the configuration and the rest of the node give to one metadata target.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/base/result.hpp"
#include "framework/base/uuid.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/fs/ids.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rideau::fs {
class ObjectChannel;
}

namespace rideau::mds {

constexpr std::uint32_t kInlineMaxUsual = 4096;

struct Options {
  Uuid cluster{};
  fs::TargetId target = 0;                                 // 1 to fs::kSequenceMax: also its lease of inode numbers
  std::vector<fs::TargetId> object_targets;                // every target of the cluster, ascending
  std::map<std::string, std::vector<fs::TargetId>> pools;  // of these, by name
  std::uint32_t stripe_count = 1;        // of files in directories that wish for nothing; fs::kStripeAll: all targets
  std::uint32_t stripe_size = 1u << 20;  // bytes
  std::optional<std::uint32_t> inline_max;  // bytes of new files that are kept here; not said: kInlineMaxUsual in an
                                            // index that was made when there was such a thing, else 0
  std::uint64_t locks_max = 1u << 20;       // of all clients together; beyond it answers bring no more
  bool commit_first = false;                // a change is answered when it is durable
  std::uint32_t recovery_ms = limits::kRecoveryMs;  // share of a client that does not come back after a restart
  std::uint32_t root_uid = 0;                       // owner of the root directory of a new file system
  std::uint32_t root_gid = 0;
};

// What a metadata target asks of object targets: calls in a node, a recorder in tests.
class ObjectTargets {
 public:
  // Ends ok when every object is gone durably. May be asked for the same objects again. At most kObjectsMax.
  virtual Task<Status> destroy(fs::TargetId target, std::vector<ObjectId> objects) = 0;
  // The next objects behind `after` of inodes below `end`, in ascending order, at most kObjectsMax; none: no more.
  virtual Task<Result<std::vector<ObjectId>>> list(fs::TargetId target, ObjectId after, fs::InodeId end) = 0;
  // The client changes nothing there any more under this session of it here, nor under an older one.
  virtual Task<Status> fence(fs::TargetId target, Uuid client, std::uint64_t session) = 0;
  // Soon: it is not waited for when it is away.
  virtual Task<Result<std::uint64_t>> bytes_free(fs::TargetId target) = 0;
  // To read and write objects there; null: no such target in this cluster.
  virtual fs::ObjectChannel* channel(fs::TargetId target) = 0;
  // How often the target has come back without something that it had answered.
  virtual std::uint64_t losses(fs::TargetId target) const = 0;
  static constexpr std::size_t kObjectsMax = 1024;

 protected:
  ~ObjectTargets() = default;
};

}  // namespace rideau::mds
