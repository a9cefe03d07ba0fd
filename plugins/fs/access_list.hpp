// SPDX-License-Identifier: Apache-2.0
// Access control lists (acl(5)), decided as Linux decides them. One that an inode has says more than its mode does;
// what both say they say alike: the mode's group bits are the list's mask.
#pragma once

#include "framework/base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rideau::fs {

struct Caller;

// The list that decides about an inode, and the one that what is made in a directory gets.
constexpr std::string_view kAccessListXattr = "system.posix_acl_access";
constexpr std::string_view kDefaultListXattr = "system.posix_acl_default";
constexpr bool names_access_list(std::string_view xattr) noexcept {
  return xattr == kAccessListXattr || xattr == kDefaultListXattr;
}

// As in the attribute's value (linux/posix_acl.h).
enum class AccessTag : std::uint16_t {
  owner = 0x01,
  user = 0x02,
  owning_group = 0x04,
  group = 0x08,
  mask = 0x10,
  others = 0x20,
};

struct AccessEntry {
  AccessTag tag = AccessTag::others;
  std::uint16_t rights = 0;  // fs::Want
  std::uint32_t id = 0;      // of user and group; of the others it means nothing
  friend bool operator==(const AccessEntry&, const AccessEntry&) = default;
};

using AccessList = std::vector<AccessEntry>;

// The value of the attribute: as setfacl makes it, and the kernel (linux/posix_acl_xattr.h). EOPNOTSUPP: another
// version; E2BIG: more than limits::kAccessListEntriesMax; EINVAL: no list. An empty list is as good as none.
Result<AccessList> parse_access_list(std::string_view value);
std::string format_access_list(const AccessList& list);
// What an inode can have: every entry that there must be, in order. EINVAL.
Status check_access_list(const AccessList& list);

// Whether a mode could not say the same.
bool says_more_than_mode(const AccessList& list) noexcept;
// The mode with the permissions that the list gives to owner, group class and others.
std::uint32_t mode_of(const AccessList& list, std::uint32_t mode) noexcept;
// chmod: the list follows the mode.
void follow_mode(AccessList& list, std::uint32_t mode) noexcept;
// What is made with this mode in a directory with such a default list: `list` becomes its own, and the mode is
// returned.
std::uint32_t inherit(AccessList& list, std::uint32_t mode) noexcept;

// May a caller who is neither root nor the owner do all of `want`? ok, EACCES, or kGroupsWanted.
Status check_list(const Caller& caller, const AccessList& list, std::uint32_t owning_group, std::uint32_t want);
// Whether the list gives these rights to everybody.
bool gives_everybody(const AccessList& list, std::uint32_t rights) noexcept;

}  // namespace rideau::fs
