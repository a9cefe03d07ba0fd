// SPDX-License-Identifier: Apache-2.0
// Which extended attributes there are, and who may see and change them (xattr(7)). user.*: regular files and
// directories, by their permissions. trusted.*: root. security.*: everybody reads, root writes; the kernel of the
// caller knows better who is privileged. Of system.* there are the access control lists: everybody reads them, who may
// change them access_lists.hpp says. Other namespaces are not served.
#pragma once

#include "plugins/fs/caller.hpp"
#include "plugins/fs/inode.hpp"

#include <string_view>

namespace rideau::mds {

// What a program may do beyond its user (capabilities(7)); kCapability of the inode says that it is there.
constexpr std::string_view kCapabilityXattr = "security.capability";

enum class XattrUse : std::uint8_t { read, change };

// EOPNOTSUPP, ERANGE, EINVAL for the name; EPERM, EACCES, ENODATA for what may not be.
Status check_xattr(const fs::Caller& caller, const fs::Inode& inode, std::string_view name, XattrUse use);
bool xattr_is_listed(const fs::Caller& caller, std::string_view name);

}  // namespace rideau::mds
