// SPDX-License-Identifier: Apache-2.0
#include "plugins/fs/access_list.hpp"

#include "framework/base/limits.hpp"
#include "plugins/fs/caller.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rideau::fs {
namespace {

constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kNoId = 0xffff'ffff;
constexpr std::size_t kHeadBytes = 4;
constexpr std::size_t kEntryBytes = 8;
constexpr std::uint32_t kRights = 7;

// Little-endian, whatever machine this is.
template <class Number>
Number load(const char* from) noexcept {
  Number value = 0;
  for (std::size_t i = sizeof value; i-- > 0;)
    value = static_cast<Number>(value << 8 | static_cast<std::uint8_t>(from[i]));
  return value;
}
template <class Number>
void append(std::string& to, Number value) {
  for (std::size_t i = 0; i < sizeof value; ++i) to.push_back(static_cast<char>(value >> (8 * i)));
}

bool has_id(AccessTag tag) noexcept { return tag == AccessTag::user || tag == AccessTag::group; }

bool is_tag(std::uint16_t tag) noexcept {
  switch (static_cast<AccessTag>(tag)) {
    case AccessTag::owner:
    case AccessTag::user:
    case AccessTag::owning_group:
    case AccessTag::group:
    case AccessTag::mask:
    case AccessTag::others:
      return true;
  }
  return false;
}

template <class List>
auto* find(List& list, AccessTag tag) noexcept {
  const auto found = std::find_if(list.begin(), list.end(), [tag](const AccessEntry& one) { return one.tag == tag; });
  return found != list.end() ? &*found : nullptr;
}

// Whose rights the mode shows as those of the group.
template <class List>
auto* group_class(List& list) noexcept {
  auto* mask = find(list, AccessTag::mask);
  return mask != nullptr ? mask : find(list, AccessTag::owning_group);
}

}  // namespace

Result<AccessList> parse_access_list(std::string_view value) {
  if (value.empty()) return AccessList{};
  if (value.size() < kHeadBytes) return posix_error(EINVAL);
  if (load<std::uint32_t>(value.data()) != kVersion) return posix_error(EOPNOTSUPP);
  if ((value.size() - kHeadBytes) % kEntryBytes != 0) return posix_error(EINVAL);
  const std::size_t count = (value.size() - kHeadBytes) / kEntryBytes;
  if (count > limits::kAccessListEntriesMax) return posix_error(E2BIG);
  AccessList list;
  list.reserve(count);
  for (const char* at = value.data() + kHeadBytes; at != value.data() + value.size(); at += kEntryBytes) {
    const auto tag = load<std::uint16_t>(at);
    if (!is_tag(tag)) return posix_error(EINVAL);
    AccessEntry entry{static_cast<AccessTag>(tag), load<std::uint16_t>(at + 2), load<std::uint32_t>(at + 4)};
    if (!has_id(entry.tag)) {
      entry.id = kNoId;
    } else if (entry.id == kNoId) {
      return posix_error(EINVAL);
    }
    list.push_back(entry);
  }
  return list;
}

std::string format_access_list(const AccessList& list) {
  std::string value;
  value.reserve(kHeadBytes + list.size() * kEntryBytes);
  append(value, kVersion);
  for (const AccessEntry& entry : list) {
    append(value, static_cast<std::uint16_t>(entry.tag));
    append(value, entry.rights);
    append(value, has_id(entry.tag) ? entry.id : kNoId);
  }
  return value;
}

// owner, users, owning group, groups, mask (which there must be when anybody is named), others.
Status check_access_list(const AccessList& list) {
  constexpr Status kBad = posix_error(EINVAL);
  auto at = list.begin();
  bool names_anybody = false;
  const auto take = [&](AccessTag tag) {
    if (at == list.end() || at->tag != tag) return false;
    ++at;
    return true;
  };
  const auto too_many = [](const AccessEntry& entry) { return (entry.rights & ~kRights) != 0; };
  if (std::any_of(list.begin(), list.end(), too_many)) return kBad;
  if (!take(AccessTag::owner)) return kBad;
  while (take(AccessTag::user)) names_anybody = true;
  if (!take(AccessTag::owning_group)) return kBad;
  while (take(AccessTag::group)) names_anybody = true;
  if (!take(AccessTag::mask) && names_anybody) return kBad;
  return take(AccessTag::others) && at == list.end() ? kOk : kBad;
}

bool says_more_than_mode(const AccessList& list) noexcept {
  return std::any_of(list.begin(), list.end(),
                     [](const AccessEntry& one) { return has_id(one.tag) || one.tag == AccessTag::mask; });
}

std::uint32_t mode_of(const AccessList& list, std::uint32_t mode) noexcept {
  const AccessEntry* owner = find(list, AccessTag::owner);
  const AccessEntry* group = group_class(list);
  const AccessEntry* others = find(list, AccessTag::others);
  if (owner == nullptr || group == nullptr || others == nullptr) return mode;
  return (mode & ~0777u) | (owner->rights & kRights) << 6 | (group->rights & kRights) << 3 | (others->rights & kRights);
}

void follow_mode(AccessList& list, std::uint32_t mode) noexcept {
  const auto set = [](AccessEntry* entry, std::uint32_t rights) {
    if (entry != nullptr) entry->rights = static_cast<std::uint16_t>(rights & kRights);
  };
  set(find(list, AccessTag::owner), mode >> 6);
  set(group_class(list), mode >> 3);
  set(find(list, AccessTag::others), mode);
}

std::uint32_t inherit(AccessList& list, std::uint32_t mode) noexcept {
  // Neither gives more than the other.
  const std::uint32_t both = mode_of(list, mode) & mode;
  follow_mode(list, both);
  return both;
}

// The first entry that is the caller's decides; of several groups the first that gives everything wanted.
Status check_list(const Caller& caller, const AccessList& list, std::uint32_t owning_group, std::uint32_t want) {
  constexpr Status kRefused = posix_error(EACCES);
  const AccessEntry* mask = find(list, AccessTag::mask);
  const auto gives = [want](const AccessEntry& entry) { return (entry.rights & want) == want; };
  const auto within_mask = [&] { return mask == nullptr || gives(*mask) ? kOk : kRefused; };
  bool in_a_group = false;
  for (const AccessEntry& entry : list) {
    switch (entry.tag) {
      case AccessTag::owner:
      case AccessTag::mask:
        break;
      case AccessTag::user:
        if (entry.id != caller.uid) break;
        return gives(entry) ? within_mask() : kRefused;
      case AccessTag::owning_group:
      case AccessTag::group: {
        const Status member = check_in_group(caller, entry.tag == AccessTag::group ? entry.id : owning_group);
        if (groups_wanted(member)) return member;
        if (!member.ok()) break;
        in_a_group = true;
        if (gives(entry)) return within_mask();
        break;
      }
      case AccessTag::others:
        return !in_a_group && gives(entry) ? kOk : kRefused;
    }
  }
  return kRefused;
}

bool gives_everybody(const AccessList& list, std::uint32_t rights) noexcept {
  return std::all_of(list.begin(), list.end(),
                     [rights](const AccessEntry& entry) { return (entry.rights & rights) == rights; });
}

}  // namespace rideau::fs
