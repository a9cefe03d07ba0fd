// SPDX-License-Identifier: Apache-2.0
// Checks that several operations share. Each says the POSIX error that it stands for.
#pragma once

#include "plugins/fs/caller.hpp"
#include "plugins/fs/inode.hpp"
#include "plugins/mds/target.hpp"

#include <string_view>

namespace rideau::mds {

// A name for an entry: ENAMETOOLONG; ENOENT when empty; EINVAL for ".", "..", and bytes that no name has.
Status check_name(std::string_view name);
// The directory of a name, which the caller may search: ESTALE, ENOTDIR, EACCES.
Status get_directory(Target& target, const fs::Caller& caller, fs::InodeId id, fs::InodeRecord* to);
Status check_inode_access(const fs::Caller& caller, const fs::Inode& inode, std::uint32_t want);
// Owner or root, else EPERM.
Status check_owner(const fs::Caller& caller, const fs::Inode& inode);
// May the caller take this name away? EACCES without write permission, EPERM in a sticky directory of others.
Status check_may_delete(const fs::Caller& caller, const fs::Inode& directory, const fs::Inode& victim);
// ENOTEMPTY.
Status check_empty(Target& target, fs::InodeId directory);
// EACCES for what the flags of an open want; EISDIR when they want to write to a directory.
Status check_open(const fs::Caller& caller, const fs::Inode& inode, std::uint32_t flags);
// A handle that the session can use for one more open: EINVAL when taken or 0, ENFILE over the bound.
Status check_new_handle(const Session& session, fs::HandleId handle);
// A write or truncate by somebody without privilege takes the set-id bits away. Only the decision may fail.
Status drop_set_id(const fs::Caller& caller, fs::Inode* inode);
// Whether the inode may have this attribute beside its others: ENOSPC.
Status check_xattr_room(Target& target, const fs::InodeRecord& record, std::string_view name, std::size_t value_bytes);
// What changes the bytes or the owner of a program takes its security.capability. After Transaction::begin().
void drop_capability(Target& target, fs::InodeRecord* record);

// Records a new open; clears the exact mark of a file that is opened for writing, and of an inline file which several
// write that it has no objects. True when the record changed.
bool add_open(Target& target, const Transaction& transaction, Session& session, fs::HandleId handle,
              std::uint32_t flags, fs::Inode* inode);
// The directory gained or lost entries (and subdirectories) by this transaction.
void touch_directory(const Transaction& transaction, fs::Inode* directory, int entries, int subdirectories);

}  // namespace rideau::mds
