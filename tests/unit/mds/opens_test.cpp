// SPDX-License-Identifier: Apache-2.0
// Goal: opens and closes keep the exact mark, the size and the life of unlinked files right.
#include "tests/unit/mds/fixture.hpp"

#include <cerrno>

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

namespace {

bool exact(const Inode& inode) { return (inode.flags & kExact) != 0; }

MakeRequest creating(std::string_view name, std::uint32_t flags, HandleId handle) {
  MakeRequest request;
  request.parent = kRootInode;
  request.name = name;
  request.mode = S_IFREG | 0644;
  request.open = true;
  request.open_flags = flags;
  request.handle = handle;
  return request;
}

}  // namespace

TEST_CASE("create opens, an existing file too", "[mds]") {
  Fixture f;
  f.begin();
  const auto made = f.change(creating("f", kOpenWrite, 1));
  REQUIRE_FALSE(made->existed);
  REQUIRE_FALSE(exact(made->inode));
  const auto again = f.change(creating("f", kOpenRead, 2));
  REQUIRE(again->existed);
  REQUIRE(again->inode.id == made->inode.id);
  REQUIRE(errno_of(f.change(creating("f", kOpenRead | kOpenExclusive, 3)).status()) == EEXIST);
  REQUIRE(errno_of(f.change(creating("g", kOpenRead, 2)).status()) == EINVAL);  // the handle is in use
  REQUIRE(errno_of(f.change(creating("g", kOpenRead, 0)).status()) == EINVAL);
  f.mkdir(kRootInode, "d");
  REQUIRE(errno_of(f.change(creating("d", kOpenRead, 4)).status()) == EISDIR);
  REQUIRE(f.name_set(kRootInode) == std::set<std::string>{"d", "f"});
}

TEST_CASE("open checks what it wants", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId file = f.file(kRootInode, "f", 0751);
  const Caller other = user(1000, 1000);
  REQUIRE(errno_of(f.open(file, kOpenRead, 1, other).status()) == EACCES);
  REQUIRE(errno_of(f.open(file, kOpenWrite, 1, other).status()) == EACCES);
  REQUIRE(f.open(file, kOpenExecute | kOpenRead, 1, other).ok());
  REQUIRE(errno_of(f.open(f.mkdir(kRootInode, "d"), kOpenWrite, 2).status()) == EISDIR);
  REQUIRE(errno_of(f.open(12345, kOpenRead, 2).status()) == ESTALE);

  // An open that fails does not truncate (S06); one that succeeds does.
  SetAttributesRequest grow;
  grow.inode = file;
  grow.mask = kSetSize;
  grow.size = 10;
  REQUIRE(f.change(grow).ok());
  REQUIRE(errno_of(f.open(file, kOpenRead | kOpenTruncate, 2, other).status()) == EACCES);
  REQUIRE(f.stat(file).size == 10);
  REQUIRE(f.open(file, kOpenWrite | kOpenTruncate, 2)->inode.size == 0);
}

TEST_CASE("a file without a name goes with its last handle, unless link gives it one (O_TMPFILE)", "[mds]") {
  Fixture f;
  f.begin();
  const auto link = [&f](InodeId inode, std::string_view name) {
    LinkRequest request;
    request.inode = inode;
    request.parent = kRootInode;
    request.name = name;
    return errno_of(f.change(request).status());
  };
  const auto made = f.change(creating("", kOpenWrite | kOpenRead, 1));
  REQUIRE(made.ok());
  const Inode inode = made->inode;
  REQUIRE(inode.link_count == 0);
  REQUIRE(f.names(kRootInode).empty());
  REQUIRE(f.close(inode.id, 1).ok());
  REQUIRE(f.stat_errno(inode.id) == ESTALE);
  REQUIRE(link(inode.id, "late") == ESTALE);

  const InodeId named = f.change(creating("", kOpenWrite, 2))->inode.id;
  REQUIRE(link(named, "f") == 0);
  REQUIRE(f.stat(named).link_count == 1);
  REQUIRE(link(named, "g") == 0);
  REQUIRE(f.close(named, 2, {100, 8, 5, 0, true}).ok());
  REQUIRE(f.stat(named).size == 100);
  REQUIRE(f.name_set(kRootInode) == std::set<std::string>{"f", "g"});
  REQUIRE(f.open(named, kOpenRead, 3).ok());
  REQUIRE(f.remove(kRootInode, "f").ok());
  REQUIRE(f.remove(kRootInode, "g").ok());
  REQUIRE(link(named, "h") == ENOENT);  // it had names, and lost them
  REQUIRE(f.close(named, 3).ok());
  REQUIRE(f.stat_errno(named) == ESTALE);

  const InodeId never = f.change(creating("", kOpenWrite | kOpenExclusive, 4))->inode.id;
  REQUIRE(link(never, "f") == ENOENT);
  MakeRequest foreign = creating("", kOpenWrite, 5);
  foreign.caller = user(1000, 1000);
  REQUIRE(errno_of(f.change(foreign).status()) == EACCES);
  MakeRequest unopened = creating("", 0, 0);
  unopened.open = false;
  REQUIRE(errno_of(f.change(unopened).status()) == ENOENT);
  REQUIRE(f.close(never, 4).ok());
}

TEST_CASE("the last writer makes the record exact", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId file = f.change(creating("f", kOpenWrite, 1))->inode.id;
  REQUIRE(f.open(file, kOpenWrite, 2).ok());
  REQUIRE(f.open(file, kOpenRead, 3).ok());
  REQUIRE(f.close(file, 1, {100, 8, 5, 0, true}).ok());
  REQUIRE(f.stat(file).size == 100);
  REQUIRE_FALSE(exact(f.stat(file)));
  REQUIRE(f.close(file, 2, {200, 16, 6, 0, true}).ok());
  Inode inode = f.stat(file);
  REQUIRE(exact(inode));
  REQUIRE(inode.size == 200);
  REQUIRE(inode.blocks == 16);
  REQUIRE(inode.mtime_ns == 6);

  // A writer that vanishes leaves it inexact until somebody who asked the objects mends it.
  REQUIRE(f.open(file, kOpenWrite, 4).ok());
  REQUIRE(f.close(file, 0, {300, 16, 7, 0, true}).ok());
  REQUIRE_FALSE(exact(f.stat(file)));
  REQUIRE(f.close(file, 4).ok());
  REQUIRE_FALSE(exact(f.stat(file)));
  REQUIRE(f.close(file, 0, {400, 24, 8, 0, true}).ok());
  inode = f.stat(file);
  REQUIRE(exact(inode));
  REQUIRE(inode.size == 400);
  // Handles and inodes that do not fit are passed over.
  REQUIRE(f.close(file, 77).ok());
  REQUIRE(f.close(999, 3).ok());
  REQUIRE(f.session->find(3) != nullptr);
}

TEST_CASE("an unlinked open file lives until its last close", "[mds]") {
  Fixture f;
  f.begin();
  const Inode file = f.change(creating("f", kOpenWrite, 1))->inode;
  REQUIRE(f.open(file.id, kOpenRead, 2).ok());
  REQUIRE(f.remove(kRootInode, "f")->inode.link_count == 0);
  REQUIRE(f.stat(file.id).link_count == 0);
  REQUIRE(errno_of(f.lookup(kRootInode, "f").status()) == ENOENT);
  REQUIRE(errno_of(f.change(LinkRequest{root(), file.id, kRootInode, "back"}).status()) == ENOENT);
  REQUIRE(f.close(file.id, 1, {10, 1, 1, 0, true}).ok());
  REQUIRE(f.stat(file.id).size == 10);
  REQUIRE(f.target().destroys_recorded == 0);
  REQUIRE(f.close(file.id, 2).ok());
  REQUIRE(f.stat_errno(file.id) == ESTALE);
  REQUIRE(f.target().destroys_recorded == 1);
  REQUIRE(f.target().opens.size() == 0);
}

TEST_CASE("a file replaced by rename lives until its last close (S01)", "[mds]") {
  Fixture f;
  f.begin();
  const Inode old = f.change(creating("old", kOpenRead, 1))->inode;
  f.file(kRootInode, "new");
  REQUIRE(f.rename(kRootInode, "new", kRootInode, "old")->replaced.id == old.id);
  REQUIRE(f.stat(old.id).link_count == 0);
  REQUIRE(f.close(old.id, 1).ok());
  REQUIRE(f.stat_errno(old.id) == ESTALE);
}

TEST_CASE("layouts follow the target's options and the wish of the directory", "[mds]") {
  Fixture f;
  f.options.stripe_count = 2;
  f.begin();
  std::set<TargetId> first_targets;
  for (int i = 0; i < 6; ++i) {
    const Inode inode = f.stat(f.file(kRootInode, "f" + std::to_string(i)));
    REQUIRE(inode.layout.stripe_count() == 2);
    REQUIRE(inode.layout.targets[0] != inode.layout.targets[1]);
    REQUIRE(inode.layout.stripe_size == 1u << 20);
    first_targets.insert(inode.layout.targets[0]);
  }
  REQUIRE(first_targets == std::set<TargetId>{11, 12, 13});

  const InodeId dir = f.mkdir(kRootInode, "d");
  InodeRecord record;
  REQUIRE(f.target().names.get(dir, &record).ok());
  record.inode.layout_default = {kStripeAll, 1 << 16, 1};
  f.target().names.put(record);
  const InodeId sub = f.mkdir(dir, "sub");
  const Inode inode = f.stat(f.file(sub, "f"));
  REQUIRE(inode.layout.targets == std::vector<TargetId>{12, 13, 11});
  REQUIRE(inode.layout.stripe_size == 1 << 16);
}
