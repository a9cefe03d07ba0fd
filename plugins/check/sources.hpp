// SPDX-License-Identifier: Apache-2.0
// What the check reads and mends, wherever it is: the records of a metadata target and the objects of object targets,
// in stores of stopped nodes (stores.hpp), behind running servers (servers.hpp), on simulated disks.
#pragma once

#include "framework/base/result.hpp"
#include "framework/runtime/task.hpp"
#include "plugins/fs/ids.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rideau::check {

// Keys and what they become; nothing: erased.
using Edits = std::map<std::string, std::optional<std::string>>;

class MetaSource {
 public:
  using Records = std::vector<std::pair<std::string, std::string>>;
  using Values = std::vector<std::optional<std::string>>;

  // What is read from now on holds all that was answered to anybody before. Of a stopped target it is one state until
  // the next begin(); a running one goes on changing.
  virtual Task<Status> begin() = 0;
  // The next records with keys greater than `after` (empty: the first), in order; none: the end.
  virtual Task<Result<Records>> next(const std::string& after) = 0;
  // What is there now, all of one moment, in the order of the keys; nothing: no such key.
  virtual Task<Result<Values>> get(const std::vector<std::string>& keys) = 0;
  // Every transaction up to this one is in what the last call read (after begin(): in all that follows). A stopped
  // target says 0.
  virtual std::uint64_t transaction() const = 0;
  // Durable when it ended. unsupported where nothing can be mended.
  virtual Task<Status> change(const Edits& edits) = 0;

 protected:
  ~MetaSource() = default;
};

class ObjectSource {
 public:
  virtual fs::TargetId target() const = 0;
  // The next ids greater than `after` (nothing: the first), ascending; none: the end.
  virtual Task<Result<std::vector<ObjectId>>> next(std::optional<ObjectId> after) = 0;
  virtual Task<Status> destroy(const std::vector<ObjectId>& objects) = 0;  // durable when it ended

 protected:
  ~ObjectSource() = default;
};

}  // namespace rideau::check
