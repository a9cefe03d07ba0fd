// SPDX-License-Identifier: Apache-2.0
// Files whose lock clients hold in parts: one that several clients write, or one writes and others read, at the same
// time. Each of them has a shared lock of the inode, which covers what a client caches of it but for size, times and
// bytes; bytes are locked by extents, sizes are asked of those who have extents exclusively.
//
// A file is divided when data calls of several clients have been in each other's way twice within kOftenNs. It is whole
// again when one client alone is left with it, or none.
#pragma once

#include "framework/lock/extent_locks.hpp"
#include "framework/lock/lock_manager.hpp"
#include "plugins/fs/meta_calls.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <utility>
#include <vector>

namespace rideau::mds {

class DividedFiles {
 public:
  // Everything is lent.
  DividedFiles(Runtime& runtime, lock::LockManager& locks, lock::ExtentLocks::Events& events)
      : runtime_(runtime), locks_(locks), extents_(runtime, events) {}
  DividedFiles(const DividedFiles&) = delete;
  DividedFiles& operator=(const DividedFiles&) = delete;

  lock::LockManager& locks() noexcept { return locks_; }
  const lock::LockManager& locks() const noexcept { return locks_; }
  lock::ExtentLocks& extents() noexcept { return extents_; }
  const lock::ExtentLocks& extents() const noexcept { return extents_; }

  bool contains(fs::InodeId inode) const { return files_.contains(inode); }
  // How often it was cut or grown to a given size since it was divided: sizes that were told before mean nothing then.
  std::uint64_t resizes(fs::InodeId inode) const {
    const auto file = files_.find(inode);
    return file != files_.end() ? file->second : 0;
  }
  void note_resize(fs::InodeId inode) {
    if (const auto file = files_.find(inode); file != files_.end()) ++file->second;
  }
  std::size_t size() const noexcept { return files_.size(); }
  // A data call met others' locks in its way. True: not for the first time, and the file is better divided.
  bool note_conflict(fs::InodeId inode);
  // Nobody holds it.
  void divide(fs::InodeId inode);
  // It is claimed as divided, after a restart.
  void claim(fs::InodeId inode) { files_.try_emplace(inode); }
  // Makes it whole again, and the session's own, if nobody else holds or wants it.
  bool rejoin(std::uint64_t session, fs::InodeId inode);
  // What the session holds, as its client is told.
  fs::LockWord word(fs::InodeId inode, lock::Grant grant) const;

  // The session has given this lock back, with all parts.
  void release(std::uint64_t session, fs::InodeId inode, lock::GrantNumber number);
  void forget(fs::InodeId inode);
  void drop(std::uint64_t session);
  // Other sessions that may have made the file larger than its record says, with their locks of the inode.
  std::vector<lock::LockManager::Held> writers(fs::InodeId inode, std::uint64_t except) const;

 private:
  static constexpr std::uint64_t kOftenNs = 10 * kSecond;
  static constexpr std::uint64_t kQuietNs = kSecond;       // since it was divided, before it may be whole again
  static constexpr std::size_t kConflictsMax = 16 * 1024;  // that are remembered

  bool is_held(fs::InodeId inode) const { return !locks_.is_free_for(0, inode, lock::Mode::exclusive); }

  Runtime& runtime_;
  lock::LockManager& locks_;
  lock::ExtentLocks extents_;
  std::map<fs::InodeId, std::uint64_t> files_;                        // with their resizes
  std::map<fs::InodeId, std::uint64_t> conflicts_;                    // when, of the last one
  std::deque<std::pair<std::uint64_t, fs::InodeId>> conflict_order_;  // oldest first
};

}  // namespace rideau::mds
