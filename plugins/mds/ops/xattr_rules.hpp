// SPDX-License-Identifier: Apache-2.0
// Which extended attributes there are, and who may see and change them (xattr(7)). user.*: regular files and
// directories, by their permissions. trusted.*: root. Other namespaces are not served.
#pragma once

#include "plugins/fs/caller.hpp"
#include "plugins/fs/inode.hpp"

#include <string_view>

namespace rideau::mds {

enum class XattrUse : std::uint8_t { read, change };

// EOPNOTSUPP, ERANGE, EINVAL for the name; EPERM, EACCES, ENODATA for what may not be.
Status check_xattr(const fs::Caller& caller, const fs::Inode& inode, std::string_view name, XattrUse use);
bool xattr_is_listed(const fs::Caller& caller, std::string_view name);

}  // namespace rideau::mds
