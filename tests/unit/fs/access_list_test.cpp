// SPDX-License-Identifier: Apache-2.0
// Goal: access control lists are read, refused, joined with modes and decided as Linux does it. The tables under
// tests/system/posix compare the same with the file system of this machine; here is what they cannot reach.
#include "plugins/fs/access_list.hpp"
#include "plugins/fs/inode.hpp"

#include "framework/base/limits.hpp"
#include "plugins/fs/caller.hpp"

#include <catch2/catch.hpp>

#include <cerrno>

using namespace rideau;
using namespace rideau::fs;

namespace {

constexpr std::uint32_t kBob = 1000;

AccessList sample() {
  return {{AccessTag::owner, 7},    {AccessTag::user, 6, kBob}, {AccessTag::owning_group, 4},
          {AccessTag::group, 5, 8}, {AccessTag::mask, 7},       {AccessTag::others, 1}};
}

Caller caller(std::uint32_t uid, std::uint32_t gid) {
  Caller who;
  who.uid = uid;
  who.gid = gid;
  return who;
}

}  // namespace

TEST_CASE("a list comes back as it was", "[fs]") {
  const std::string value = format_access_list(sample());
  REQUIRE(value.size() == 4 + 6 * 8);
  const Result<AccessList> list = parse_access_list(value);
  REQUIRE(list.ok());
  REQUIRE(format_access_list(*list) == value);
  REQUIRE(check_access_list(*list).ok());
  REQUIRE(list->at(1).id == kBob);
  REQUIRE(parse_access_list("")->empty());
  REQUIRE(parse_access_list(format_access_list({}))->empty());
}

TEST_CASE("no piece of a list is a list", "[fs]") {
  const std::string value = format_access_list(sample());
  for (std::size_t size = 1; size < value.size(); ++size) {
    const Result<AccessList> list = parse_access_list(std::string_view(value).substr(0, size));
    REQUIRE((!list.ok() || list->empty() || !check_access_list(*list).ok()));
  }
  for (std::size_t at = 0; at < value.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = value;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      const Result<AccessList> list = parse_access_list(flipped);
      // What is taken is either another good list or refused, and comes back as itself.
      if (list.ok() && check_access_list(*list).ok()) REQUIRE(parse_access_list(format_access_list(*list)).ok());
    }
  }
}

TEST_CASE("lists are bounded", "[fs]") {
  AccessList list{{AccessTag::owner, 7}};
  while (list.size() < limits::kAccessListEntriesMax - 3) {
    list.push_back({AccessTag::user, 7, static_cast<std::uint32_t>(list.size())});
  }
  for (const AccessTag tag : {AccessTag::owning_group, AccessTag::mask, AccessTag::others}) list.push_back({tag, 0});
  REQUIRE(parse_access_list(format_access_list(list)).ok());
  REQUIRE(check_access_list(list).ok());
  list.insert(list.begin() + 1, {AccessTag::user, 7, kBob});
  REQUIRE(errno_of(parse_access_list(format_access_list(list)).status()) == E2BIG);
}

TEST_CASE("list and mode", "[fs]") {
  AccessList list = sample();
  REQUIRE(says_more_than_mode(list));
  REQUIRE(mode_of(list, 0106000) == 0106771);
  follow_mode(list, 0652);
  REQUIRE(list[0].rights == 6);
  REQUIRE(list[2].rights == 4);
  REQUIRE(list[4].rights == 5);
  REQUIRE(list[5].rights == 2);

  AccessList plain{{AccessTag::owner, 7}, {AccessTag::owning_group, 5}, {AccessTag::others, 4}};
  REQUIRE_FALSE(says_more_than_mode(plain));
  REQUIRE(inherit(plain, 0101666) == 0101644);
  REQUIRE(plain == AccessList{{AccessTag::owner, 6}, {AccessTag::owning_group, 4}, {AccessTag::others, 4}});
}

TEST_CASE("groups are asked for only where they matter", "[fs]") {
  Inode inode;
  inode.mode = 0100771;
  inode.uid = 1;
  inode.gid = 7;
  inode.access_list = std::make_shared<const AccessList>(sample());
  REQUIRE(check_access(caller(0, 0), inode, kWantRead | kWantWrite | kWantExecute).ok());
  REQUIRE(check_access(caller(1, 9), inode, kWantWrite).ok());
  REQUIRE(check_access(caller(kBob, 9), inode, kWantRead | kWantWrite).ok());
  REQUIRE(errno_of(check_access(caller(kBob, 9), inode, kWantExecute)) == EACCES);
  REQUIRE(check_access(caller(2, 7), inode, kWantRead).ok());
  REQUIRE(groups_wanted(check_access(caller(2, 9), inode, kWantRead)));
  Caller other = caller(2, 9);
  other.groups_known = true;
  REQUIRE(errno_of(check_access(other, inode, kWantRead)) == EACCES);
  REQUIRE(check_access(other, inode, kWantExecute).ok());
  other.groups = {8};
  REQUIRE(check_access(other, inode, kWantRead | kWantExecute).ok());
  REQUIRE(errno_of(check_access(other, inode, kWantWrite)) == EACCES);
  // Where the mask gives nothing, the list is not looked at.
  inode.mode = 0100701;
  REQUIRE(check_access(caller(kBob, 9), inode, kWantExecute).ok() == false);
  Caller bob = caller(kBob, 9);
  bob.groups_known = true;
  REQUIRE(check_access(bob, inode, kWantExecute).ok());
}
