// SPDX-License-Identifier: Apache-2.0
// Locks that ride beside answers: every inode that an answer tells of comes with what its receiver holds of it then. An
// inode that somebody else changes, or that somebody waits for, comes without: it is good for this answer alone.
#pragma once

#include "framework/lock/lock_manager.hpp"
#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/divided_files.hpp"

namespace rideau::mds {

constexpr fs::LockWord lock_word(lock::Grant grant) noexcept {
  return grant.mode == lock::Mode::none ? 0 : grant.number << 2 | static_cast<fs::LockWord>(grant.mode);
}

// The inode of which the answer tells and another session alone knows the truth; null: there is none. Entries of
// directories are not waited for: grant_beside() takes their attributes out.
fs::Inode* held_by_others(const lock::LockManager& locks, std::uint64_t session, fs::InodeReply& reply);
template <class Reply>
fs::Inode* held_by_others(const lock::LockManager&, std::uint64_t, Reply&) {
  return nullptr;
}

// The divided file of which the answer tells; null: of none.
fs::Inode* told_in_parts(const DividedFiles& files, fs::InodeReply& reply);
template <class Reply>
fs::Inode* told_in_parts(const DividedFiles&, Reply&) {
  return nullptr;
}

// The file that a change cuts or grows to a given size; none: it is another change.
inline fs::InodeId resized_by(const fs::SetAttributesRequest& request) {
  return (request.mask & fs::kSetSize) != 0 ? request.inode : fs::kNoInode;
}
inline fs::InodeId resized_by(const fs::OpenRequest& request) {
  return (request.flags & fs::kOpenTruncate) != 0 ? request.inode : fs::kNoInode;
}
template <class Request>
fs::InodeId resized_by(const Request&) {
  return fs::kNoInode;
}

// Who opens a file to write wants it for himself, if nobody else has it.
inline bool exclusive_wanted(const fs::OpenRequest& request) { return (request.flags & fs::kOpenWrite) != 0; }
inline bool exclusive_wanted(const fs::MakeRequest& request) {
  return request.open && (request.open_flags & fs::kOpenWrite) != 0;
}
template <class Request>
bool exclusive_wanted(const Request&) {
  return false;
}

// New names in a directory commute: who makes one does not rest on those that others made.
inline bool commutes(const Result<fs::MakeReply>& result) { return result.ok() && !result->existed; }
template <class Result>
bool commutes(const Result&) {
  return false;
}

void grant_beside(DividedFiles& locks, std::uint64_t session, fs::InodeReply& reply, bool exclusive = false);
void grant_beside(DividedFiles& locks, std::uint64_t session, fs::MakeReply& reply, bool exclusive);
void grant_beside(DividedFiles& locks, std::uint64_t session, fs::OpenReply& reply, bool exclusive);
void grant_beside(DividedFiles& locks, std::uint64_t session, fs::RemoveReply& reply, bool exclusive);
void grant_beside(DividedFiles& locks, std::uint64_t session, fs::RenameReply& reply, bool exclusive);
void grant_beside(DividedFiles& locks, std::uint64_t session, fs::ReadDirectoryReply& reply);
template <class Reply>
void grant_beside(DividedFiles&, std::uint64_t, Reply&) {}

}  // namespace rideau::mds
