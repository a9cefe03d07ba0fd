// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/ops/xattr_rules.hpp"

#include "framework/base/limits.hpp"
#include "plugins/mds/ops/checks.hpp"

#include <cerrno>

namespace rideau::mds {

using namespace fs;

namespace {
constexpr std::string_view kUser = "user.";
constexpr std::string_view kTrusted = "trusted.";
constexpr std::string_view kSecurity = "security.";
}  // namespace

Status check_xattr(const Caller& caller, const Inode& inode, std::string_view name, XattrUse use) {
  if (name.empty() || name.size() > limits::kXattrNameBytesMax) return posix_error(ERANGE);
  if (name.find('\0') != std::string_view::npos) return posix_error(EINVAL);
  const bool reads = use == XattrUse::read;
  if (names_access_list(name)) return inode.is_symlink() ? posix_error(EOPNOTSUPP) : kOk;
  if (name.starts_with(kTrusted)) {
    if (name.size() == kTrusted.size()) return posix_error(EINVAL);
    return caller.is_root() ? kOk : posix_error(reads ? ENODATA : EPERM);
  }
  if (name.starts_with(kSecurity)) {
    if (name.size() == kSecurity.size()) return posix_error(EINVAL);
    return reads || caller.is_root() ? kOk : posix_error(EPERM);
  }
  if (!name.starts_with(kUser)) return posix_error(EOPNOTSUPP);
  if (name.size() == kUser.size()) return posix_error(EINVAL);
  if (!inode.is_regular() && !inode.is_directory()) return posix_error(reads ? ENODATA : EPERM);
  const bool guarded = inode.is_directory() && (inode.mode & S_ISVTX) != 0;
  if (!reads && guarded && !check_owner(caller, inode).ok()) return posix_error(EPERM);
  return check_inode_access(caller, inode, reads ? kWantRead : kWantWrite);
}

bool xattr_is_listed(const Caller& caller, std::string_view name) {
  return !name.starts_with(kTrusted) || caller.is_root();
}

}  // namespace rideau::mds
