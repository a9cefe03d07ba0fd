// SPDX-License-Identifier: Apache-2.0
// Placement: on which object targets the bytes of new files lie. In turns; where the free space of the targets differs
// by more than a fifth, in proportion to it; on a full one only what cannot go elsewhere. Never on a target that is
// drained, and within the pool of the directory.
#pragma once

#include "framework/runtime/sync.hpp"
#include "plugins/fs/inode.hpp"
#include "plugins/fs/records.hpp"
#include "plugins/mds/options.hpp"

#include <map>
#include <string>
#include <vector>

namespace rideau::mds {

// Object targets that take no new files.
using DrainTable = std::map<fs::TargetId, fs::DrainRecord>;

class Placement {
 public:
  // Both are lent, and may change: then changed() is called.
  Placement(Runtime& runtime, const Options& options, const DrainTable& drains)
      : options_(options), drains_(drains), choices_(runtime) {}

  // As the directory wishes, else as the options say. The same for the same turn, as long as nobody tells of free
  // space. Without targets where the pool has none that takes files.
  fs::Layout choose(const fs::LayoutDefault& wish, const std::string& pool, std::uint64_t turn);
  void changed() { usable_.clear(); }
  // Those that take new files, ascending; of a pool, or (empty) of the cluster.
  const std::vector<fs::TargetId>& usable(const std::string& pool);
  bool knows_pool(const std::string& pool) const { return pool.empty() || options_.pools.contains(pool); }
  // What stripe_offset counts: every target that the cluster has ever had keeps its place.
  std::vector<fs::TargetId> places() const;

  void tell_free(fs::TargetId target, std::uint64_t bytes) { free_[target] = bytes; }
  void forget_free(fs::TargetId target) { free_.erase(target); }
  // Until a file was placed, since the last time, that might lie elsewhere as well; or until wake().
  Task<> until_choice();
  void wake() { choices_.wake_all(); }

 private:
  // Which of the targets is the first.
  std::size_t first(const std::vector<fs::TargetId>& targets, std::uint64_t turn) const;
  std::size_t wished(const std::vector<fs::TargetId>& targets, std::int32_t offset) const;
  bool is_full(fs::TargetId target) const;

  const Options& options_;
  const DrainTable& drains_;
  std::map<std::string, std::vector<fs::TargetId>> usable_;  // as far as it was asked for
  std::map<fs::TargetId, std::uint64_t> free_;               // bytes, of those that told
  bool chose_ = false;
  WaitQueue choices_;
};

}  // namespace rideau::mds
