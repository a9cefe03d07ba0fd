// SPDX-License-Identifier: Apache-2.0
// Goal: attributes and extended attributes change as POSIX and xattr(7) say, for those who may.
#include "tests/unit/mds/fixture.hpp"

#include "framework/base/limits.hpp"

#include <cerrno>

#include <sys/xattr.h>

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

namespace {

SetAttributesRequest setting(InodeId inode, std::uint32_t mask, const Caller& caller) {
  SetAttributesRequest request;
  request.caller = caller;
  request.inode = inode;
  request.mask = mask;
  return request;
}

struct Owned : Fixture {
  Owned() {
    begin();
    dir = made(kRootInode, "dir", S_IFDIR | 0777);
    inode = made(dir, "file", S_IFREG | 0644, alice);
  }
  int chmod(const Caller& caller, std::uint32_t mode) {
    auto request = setting(inode, kSetMode, caller);
    request.mode = mode;
    return errno_of(change(request).status());
  }
  int chown(const Caller& caller, std::uint32_t mask, std::uint32_t uid, std::uint32_t gid) {
    auto request = setting(inode, mask, caller);
    request.uid = uid;
    request.gid = gid;
    return errno_of(change(request).status());
  }
  Caller alice = user(1000, 1000, {1000, 50});
  Caller bob = user(1001, 1001);
  InodeId dir = 0;
  InodeId inode = 0;
};

}  // namespace

TEST_CASE("chmod", "[mds]") {
  Owned f;
  REQUIRE(f.chmod(f.bob, 0777) == EPERM);
  REQUIRE(f.chmod(f.alice, 06755) == 0);
  REQUIRE(f.stat(f.inode).mode == (S_IFREG | 06755));
  REQUIRE(f.chmod(root(), 0600) == 0);
  // The set-group-id bit is not for those outside the group.
  REQUIRE(f.chown(root(), kSetGid, 0, 99) == 0);
  REQUIRE(f.chmod(f.alice, 02755) == 0);
  REQUIRE(f.stat(f.inode).mode == (S_IFREG | 0755));
}

TEST_CASE("chown", "[mds]") {
  Owned f;
  REQUIRE(f.chown(f.bob, kSetUid, 1001, 0) == EPERM);
  REQUIRE(f.chown(f.alice, kSetUid, 1001, 0) == EPERM);
  REQUIRE(f.chown(f.alice, kSetUid, 1000, 0) == 0);
  REQUIRE(f.chown(f.alice, kSetGid, 0, 51) == EPERM);
  REQUIRE(f.chown(f.alice, kSetGid, 0, 50) == 0);
  REQUIRE(f.stat(f.inode).gid == 50);
  REQUIRE(f.chmod(root(), 06755) == 0);
  REQUIRE(f.chown(root(), kSetUid | kSetGid, 7, 8) == 0);
  REQUIRE(f.stat(f.inode).mode == (S_IFREG | 0755));
  REQUIRE(f.stat(f.inode).uid == 7);
}

TEST_CASE("truncate", "[mds]") {
  Owned f;
  auto request = setting(f.inode, kSetSize, f.bob);
  request.size = 100;
  REQUIRE(errno_of(f.change(request).status()) == EACCES);
  request.caller = f.alice;
  const Inode before = f.stat(f.inode);
  f.world.run_for(kMillisecond);
  const Inode after = f.change(request)->inode;
  REQUIRE(after.size == 100);
  REQUIRE(after.mtime_ns > before.mtime_ns);
  REQUIRE(after.ctime_ns == after.mtime_ns);
  request.size = limits::kFileBytesMax + 1;
  REQUIRE(errno_of(f.change(request).status()) == EFBIG);
  request.inode = f.dir;
  request.size = 0;
  REQUIRE(errno_of(f.change(request).status()) == EISDIR);

  // An open handle keeps its right, whatever became of the mode.
  REQUIRE(f.open(f.inode, kOpenWrite, 9, f.alice).ok());
  REQUIRE(f.chmod(f.alice, 0444) == 0);
  request.inode = f.inode;
  request.handle = 8;
  REQUIRE(errno_of(f.change(request).status()) == EACCES);
  request.handle = 9;
  REQUIRE(f.change(request).ok());

  REQUIRE(f.chmod(root(), 06777) == 0);
  auto killing = setting(f.inode, kSetSize | kSetKillPrivileges, f.bob);
  REQUIRE(f.change(killing).ok());
  REQUIRE(f.stat(f.inode).mode == (S_IFREG | 0777));
}

TEST_CASE("utimes opens a new generation of times", "[mds]") {
  Owned f;
  auto request = setting(f.inode, kSetMtime | kSetAtime, f.bob);
  request.mtime_ns = -7;
  request.atime_ns = 5;
  REQUIRE(errno_of(f.change(request).status()) == EPERM);
  auto now = setting(f.inode, kSetMtimeNow | kSetAtimeNow, f.bob);
  REQUIRE(errno_of(f.change(now).status()) == EACCES);
  REQUIRE(f.chmod(f.alice, 0666) == 0);
  REQUIRE(f.change(now).ok());
  REQUIRE(errno_of(f.change(setting(f.inode, kSetMtimeNow, f.bob)).status()) == EPERM);  // one alone: the owner's

  const std::uint32_t old_generation = f.stat(f.inode).time_generation;
  REQUIRE(f.open(f.inode, kOpenWrite, 1, f.alice).ok());
  request.caller = f.alice;
  REQUIRE(f.change(request).ok());
  // Data written before the utimes comes back after it (S11).
  REQUIRE(f.close(f.inode, 1, {4096, 8, 1'000'000, old_generation, true}).ok());
  const Inode inode = f.stat(f.inode);
  REQUIRE(inode.mtime_ns == -7);
  REQUIRE(inode.atime_ns == 5);
  REQUIRE(inode.size == 4096);
  REQUIRE((inode.flags & kExact) != 0);
}

TEST_CASE("extended attributes", "[mds]") {
  Owned f;
  const auto set = [&](const Caller& caller, std::string_view name, std::string_view value, std::uint32_t flags = 0) {
    return errno_of(f.change(SetAttributeRequest{caller, f.inode, name, value, flags}));
  };
  const auto get = [&](const Caller& caller, std::string_view name) {
    return f.look(GetAttributeRequest{caller, f.inode, name});
  };
  const auto list = [&](const Caller& caller) { return f.look(ListAttributesRequest{caller, f.inode})->names; };
  REQUIRE(list(f.alice).empty());
  REQUIRE(set(f.bob, "user.a", "1") == EACCES);
  REQUIRE(set(f.alice, "user.a", "1", XATTR_REPLACE) == ENODATA);
  REQUIRE(set(f.alice, "user.a", "1", XATTR_CREATE) == 0);
  REQUIRE(set(f.alice, "user.a", "2", XATTR_CREATE) == EEXIST);
  REQUIRE(set(f.alice, "user.a", "22", XATTR_REPLACE) == 0);
  REQUIRE(set(f.alice, "user.empty", "") == 0);
  REQUIRE(get(f.bob, "user.a")->value == "22");
  REQUIRE(get(f.alice, "user.empty").ok());
  REQUIRE(get(f.alice, "user.empty")->value.empty());
  REQUIRE(errno_of(get(f.alice, "user.none").status()) == ENODATA);
  REQUIRE(set(f.alice, "user.", "x") == EINVAL);
  REQUIRE(set(f.alice, "security.selinux", "x") == EPERM);
  REQUIRE(set(f.alice, "system.posix_acl_access", "x") == EINVAL);
  REQUIRE(set(f.alice, "system.other", "x") == EOPNOTSUPP);
  REQUIRE(set(f.alice, "nonsense", "x") == EOPNOTSUPP);
  REQUIRE(set(f.alice, "user." + std::string(251, 'n'), "x") == ERANGE);
  REQUIRE(set(f.alice, "user.big", std::string(limits::kXattrValueBytesMax + 1, 'v')) == E2BIG);
  REQUIRE(set(f.alice, "user.big", std::string(limits::kXattrValueBytesMax, 'v')) == 0);
  REQUIRE(set(f.alice, "trusted.t", "x") == EPERM);
  REQUIRE(set(root(), "trusted.t", "x") == 0);
  REQUIRE(list(f.alice) == std::vector<std::string>{"user.a", "user.big", "user.empty"});
  REQUIRE(list(root()).size() == 4);
  REQUIRE(f.settle().ok());
  REQUIRE(errno_of(f.change(RemoveAttributeRequest{f.bob, f.inode, "user.a"})) == EACCES);
  REQUIRE(f.change(RemoveAttributeRequest{f.alice, f.inode, "user.a"}).ok());
  REQUIRE(errno_of(f.change(RemoveAttributeRequest{f.alice, f.inode, "user.a"})) == ENODATA);
  REQUIRE(list(f.alice) == std::vector<std::string>{"user.big", "user.empty"});

  const InodeId pipe = f.made(f.dir, "pipe", S_IFIFO | 0666);
  REQUIRE(errno_of(f.change(SetAttributeRequest{root(), pipe, "user.a", "1", 0})) == EPERM);

  // They go with their file.
  REQUIRE(f.remove(f.dir, "file").ok());
  REQUIRE(f.settle().ok());
  for (const auto& [key, value] : f.disk.entries())
    REQUIRE_FALSE(is_kind(Bytes(std::string_view(key)), KeyKind::xattr));
}

TEST_CASE("a capability goes with the next change of bytes or owner", "[mds]") {
  Owned f;
  const auto has = [&] {
    const bool listed = f.look(ListAttributesRequest{root(), f.inode})->names.size() == 1;
    REQUIRE(((f.stat(f.inode).flags & kCapability) != 0) == listed);
    return listed;
  };
  const auto give = [&] {
    const SetAttributeRequest request{root(), f.inode, "security.capability", "raw", 0};
    REQUIRE(f.change(request).ok());
    REQUIRE(has());
  };
  give();
  REQUIRE(f.chmod(f.alice, 0700) == 0);
  REQUIRE(has());
  REQUIRE(f.chown(root(), kSetGid, 0, 8) == 0);
  REQUIRE_FALSE(has());
  give();
  REQUIRE(f.change(setting(f.inode, kSetKillCapability, f.bob)).ok());
  REQUIRE_FALSE(has());
  give();
  REQUIRE(f.open(f.inode, kOpenWrite | kOpenTruncate, 5, f.alice).ok());
  REQUIRE_FALSE(has());
  give();
  REQUIRE(f.change(RemoveAttributeRequest{f.bob, f.inode, "security.capability"}).ok());
  REQUIRE_FALSE(has());
}

TEST_CASE("extended attributes of an inode are bounded together", "[mds]") {
  Owned f;
  const std::string value(limits::kXattrValueBytesMax - 7, 'v');
  const auto set = [&](std::string_view name, std::string_view bytes) {
    return errno_of(f.change(SetAttributeRequest{f.alice, f.inode, name, bytes, 0}));
  };
  for (const char* name : {"user.1", "user.2", "user.3", "user.4"}) REQUIRE(set(name, value) == 0);
  REQUIRE(set("user.5", "more than is left") == ENOSPC);
  REQUIRE(set("user.4", std::string(limits::kXattrValueBytesMax, 'v')) == ENOSPC);
  REQUIRE(set("user.1", "") == 0);
  REQUIRE(set("user.5", "now there is room") == 0);
}

TEST_CASE("the names of all extended attributes fit into one list", "[mds]") {
  Owned f;
  int set = 0;
  for (;; ++set) {
    const std::string name = "user." + std::string(240, 'n') + std::to_string(set);
    const Status status = f.change(SetAttributeRequest{f.alice, f.inode, name, "v", 0});
    if (!status.ok()) {
      REQUIRE(errno_of(status) == ENOSPC);
      break;
    }
  }
  REQUIRE(set > 200);
  REQUIRE(f.look(ListAttributesRequest{f.alice, f.inode})->names.size() == static_cast<std::size_t>(set));
}
