// SPDX-License-Identifier: Apache-2.0
// Placement: on which object targets the bytes of new files lie. In turns; where the free space of the targets differs
// by more than a fifth, in proportion to it; on a full one only what cannot go elsewhere.
#pragma once

#include "framework/runtime/sync.hpp"
#include "plugins/fs/inode.hpp"
#include "plugins/mds/options.hpp"

#include <map>

namespace rideau::mds {

class Placement {
 public:
  // `options` is lent: its targets may become more.
  Placement(Runtime& runtime, const Options& options) : options_(options), choices_(runtime) {}

  // As the directory wishes, else as the options say. The same for the same turn, as long as nobody tells of free
  // space.
  fs::Layout choose(const fs::LayoutDefault& wish, std::uint64_t turn);
  void tell_free(fs::TargetId target, std::uint64_t bytes) { free_[target] = bytes; }
  void forget_free(fs::TargetId target) { free_.erase(target); }
  // Until a file was placed, since the last time, that might lie elsewhere as well; or until wake().
  Task<> until_choice();
  void wake() { choices_.wake_all(); }

 private:
  // Which of the targets is the first.
  std::size_t first(std::uint64_t turn) const;
  bool is_full(fs::TargetId target) const;

  const Options& options_;
  std::map<fs::TargetId, std::uint64_t> free_;  // bytes, of those that told
  bool chose_ = false;
  WaitQueue choices_;
};

}  // namespace rideau::mds
