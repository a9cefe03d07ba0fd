// SPDX-License-Identifier: Apache-2.0
// Access control lists as attributes of inodes (fs::kAccessListXattr, fs::kDefaultListXattr): setting them, and what
// changes of modes and new names mean for them. A list that says no more than a mode is not kept. Errors in the order
// of Linux.
#pragma once

#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/target.hpp"

#include <string>

namespace rideau::mds {

// EINVAL, EOPNOTSUPP (another version, or a symbolic link), E2BIG, EACCES (a default list for what is no directory),
// EPERM (not the owner), ENOSPC. A list without entries is removed.
Status set_access_list(Target& target, Transaction& transaction, const fs::SetAttributeRequest& request,
                       fs::InodeRecord& record);
// Nothing is removed where there is none.
Status remove_access_list(Target& target, Transaction& transaction, const fs::Caller& caller, std::string_view name,
                          fs::InodeRecord& record);

// After Transaction::begin(): the mode was changed by chmod.
void follow_mode(Target& target, fs::Inode* inode);

// What a new inode gets from the default list of its directory, or else from the umask: sets its mode and its list.
// `default_list`: the value of its own default list, empty for none.
Status take_lists(Target& target, const fs::Caller& caller, const fs::Inode& parent, fs::Inode* inode,
                  std::string* default_list);
// After Transaction::begin() and with its number: the lists that take_lists() found become its attributes.
void keep_lists(Target& target, const std::string& default_list, fs::InodeRecord* record);

}  // namespace rideau::mds
