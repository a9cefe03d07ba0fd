// SPDX-License-Identifier: Apache-2.0
// What the configuration and the rest of the node give to one metadata target.
#pragma once

#include "framework/base/result.hpp"
#include "framework/base/uuid.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/fs/ids.hpp"

#include <cstdint>
#include <vector>

namespace rideau::mds {

struct Options {
  Uuid cluster{};
  fs::TargetId target = 0;                   // 1 to fs::kSequenceMax: also its lease of inode numbers
  std::vector<fs::TargetId> object_targets;  // every target that new files may be striped over, in a fixed order
  std::uint32_t stripe_count = 1;        // of files in directories that wish for nothing; fs::kStripeAll: all targets
  std::uint32_t stripe_size = 1u << 20;  // bytes
  std::uint32_t root_uid = 0;            // owner of the root directory of a new file system
  std::uint32_t root_gid = 0;
};

// Who destroys objects: calls to object targets in a node, a recorder in tests.
class ObjectDestroyer {
 public:
  // Ends ok when every object is gone durably. May be asked for the same objects again. At most kObjectsMax.
  virtual Task<Status> destroy(fs::TargetId target, std::vector<ObjectId> objects) = 0;
  static constexpr std::size_t kObjectsMax = 1024;

 protected:
  ~ObjectDestroyer() = default;
};

}  // namespace rideau::mds
