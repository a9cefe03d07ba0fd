// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/divided_files.hpp"

#include "framework/base/sim_hooks.hpp"
#include "plugins/mds/grants.hpp"

#include <iterator>

namespace rideau::mds {

using lock::Mode;

bool DividedFiles::note_conflict(fs::InodeId inode) {
  const std::uint64_t now = runtime_.now_ns();
  while (!conflict_order_.empty()) {
    const auto [when, oldest] = conflict_order_.front();
    if (now - when < kOftenNs && conflict_order_.size() < kConflictsMax) break;
    conflict_order_.pop_front();
    const auto found = conflicts_.find(oldest);
    if (found != conflicts_.end() && found->second == when) conflicts_.erase(found);
  }
  const auto [found, first] = conflicts_.try_emplace(inode, now);
  found->second = now;
  conflict_order_.emplace_back(now, inode);
  return !first;
}

void DividedFiles::divide(fs::InodeId inode) {
  RIDEAU_MARK(file_divided);
  locks_.note_watched(inode);  // who gets a share from now on may write
  files_.try_emplace(inode);
}

bool DividedFiles::rejoin(std::uint64_t session, fs::InodeId inode) {
  if (!contains(inode) || !locks_.is_free_for(session, inode, Mode::exclusive)) return false;
  if (locks_.first_waiting(inode) != 0) return false;
  // Who was in the way just now had to give everything back, and comes again.
  const auto last = conflicts_.find(inode);
  if (last != conflicts_.end() && runtime_.now_ns() - last->second < kQuietNs) return false;
  if (locks_.try_grant(session, inode, Mode::exclusive).mode != Mode::exclusive) return false;
  RIDEAU_MARK(file_whole_again);
  files_.erase(inode);
  extents_.forget(inode);
  return true;
}

fs::LockWord DividedFiles::word(fs::InodeId inode, lock::Grant grant) const {
  const fs::LockWord word = lock_word(grant);
  return grant.mode == Mode::shared && contains(inode) ? word | fs::kDividedMode : word;
}

void DividedFiles::release(std::uint64_t session, fs::InodeId inode, lock::GrantNumber number) {
  locks_.release(session, inode, number);
  if (!contains(inode) || locks_.held(session, inode).mode != Mode::none) return;
  extents_.drop(session, inode);
  if (!is_held(inode)) forget(inode);
}

void DividedFiles::forget(fs::InodeId inode) {
  if (files_.erase(inode) != 0) extents_.forget(inode);
}

void DividedFiles::drop(std::uint64_t session) {
  locks_.drop(session);
  extents_.drop(session);
  for (auto file = files_.begin(); file != files_.end();) {
    const fs::InodeId inode = (file++)->first;
    if (!is_held(inode)) forget(inode);
  }
}

std::vector<lock::LockManager::Held> DividedFiles::writers(fs::InodeId inode, std::uint64_t except) const {
  std::vector<lock::LockManager::Held> found;
  if (!contains(inode)) return found;
  for (const lock::HolderId holder : extents_.writers(inode, except)) {
    found.push_back({holder, locks_.held(holder, inode).number});
  }
  return found;
}

}  // namespace rideau::mds
