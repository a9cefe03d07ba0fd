// SPDX-License-Identifier: Apache-2.0
// Goal: names do what POSIX says: make, look up, link, remove, rename, read directories, with the right errors in the
// right order, link counts and times.
#include "tests/unit/mds/fixture.hpp"

#include "framework/base/limits.hpp"
#include "plugins/fs/codec.hpp"

#include <cerrno>

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

TEST_CASE("make and lookup", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.mkdir(kRootInode, "dir");
  REQUIRE(dir >> kCounterBits == 5);
  REQUIRE(f.stat(kRootInode).link_count == 3);
  const InodeId file = f.file(dir, "file");
  REQUIRE(f.lookup(dir, "file")->inode.id == file);
  REQUIRE(f.lookup(dir, ".")->inode.id == dir);
  REQUIRE(f.lookup(file, ".")->inode.id == file);
  REQUIRE(f.lookup(dir, "..")->inode.id == kRootInode);
  REQUIRE(f.lookup(kRootInode, "..")->inode.id == kRootInode);
  const Inode inode = f.stat(file);
  REQUIRE(inode.link_count == 1);
  REQUIRE(inode.mode == (S_IFREG | 0644));
  REQUIRE((inode.flags & kExact) != 0);
  REQUIRE(inode.layout.stripe_count() == 1);
  REQUIRE(inode.change == f.last_transaction);
  REQUIRE(f.stat(dir).mtime_ns == inode.birth_ns);

  const InodeId link = [&] {
    MakeRequest request;
    request.parent = dir;
    request.name = "symlink";
    request.mode = S_IFLNK;
    request.symlink_target = "../there";
    return f.change(request)->inode.id;
  }();
  REQUIRE(f.look(ReadLinkRequest{link})->target == "../there");
  REQUIRE(f.stat(link).size == 8);
  REQUIRE(errno_of(f.look(ReadLinkRequest{dir}).status()) == EINVAL);
  const InodeId pipe = f.made(dir, "pipe", S_IFIFO | 0600);
  REQUIRE(S_ISFIFO(f.stat(pipe).mode));
  REQUIRE(f.name_set(dir) == std::set<std::string>{"file", "pipe", "symlink"});
}

TEST_CASE("make refuses in the order of POSIX", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.mkdir(kRootInode, "dir");
  const InodeId file = f.file(dir, "file");
  const Caller other = user(1000, 1000);
  const auto fails = [&](InodeId parent, std::string_view name, std::uint32_t mode, const Caller& caller) {
    const auto reply = f.make(parent, name, mode, caller);
    REQUIRE_FALSE(reply.ok());
    REQUIRE(f.last_transaction == 0);
    return errno_of(reply.status());
  };
  REQUIRE(fails(999, "x", S_IFREG, root()) == ESTALE);
  REQUIRE(fails(file, "x", S_IFREG, root()) == ENOTDIR);
  REQUIRE(fails(dir, "file", S_IFREG, other) == EEXIST);  // before the missing permission
  REQUIRE(fails(dir, "new", S_IFREG, other) == EACCES);
  REQUIRE(fails(dir, "new", S_IFCHR, other) == EPERM);
  REQUIRE(fails(dir, ".", S_IFDIR, root()) == EEXIST);
  REQUIRE(fails(dir, "", S_IFDIR, root()) == ENOENT);
  REQUIRE(fails(dir, "a/b", S_IFDIR, root()) == EINVAL);
  REQUIRE(fails(dir, std::string_view("a\0b", 3), S_IFDIR, root()) == EINVAL);
  REQUIRE(fails(dir, std::string(256, 'n'), S_IFREG, root()) == ENAMETOOLONG);
  REQUIRE(f.make(dir, std::string(255, 'n'), S_IFREG | 0600).ok());
  REQUIRE(fails(dir, "x", 0, root()) == EINVAL);
  REQUIRE(f.lookup(dir, "none").status().os_error == ENOENT);
  REQUIRE(f.lookup(dir, std::string(256, 'n')).status().os_error == ENAMETOOLONG);
  REQUIRE(f.lookup(file, "x").status().os_error == ENOTDIR);
  const InodeId closed = f.mkdir(kRootInode, "closed", 0700);
  f.file(closed, "inside");
  REQUIRE(f.lookup(closed, "inside", other).status().os_error == EACCES);
  REQUIRE(f.lookup(closed, "none", other).status().os_error == EACCES);
}

TEST_CASE("a decision that hangs on groups asks for them", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.mkdir(kRootInode, "dir", 0770);
  SetAttributesRequest chown;
  chown.inode = dir;
  chown.mask = kSetGid;
  chown.gid = 50;
  REQUIRE(f.change(chown).ok());
  Caller unknown;
  unknown.uid = 1000;
  unknown.gid = 1000;
  REQUIRE(groups_wanted(f.make(dir, "x", S_IFREG | 0644, unknown).status()));
  REQUIRE(f.make(dir, "x", S_IFREG | 0644, user(1000, 1000)).status().os_error == EACCES);
  REQUIRE(f.make(dir, "x", S_IFREG | 0644, user(1000, 1000, {7, 50})).ok());
}

TEST_CASE("set-group-id directories hand down their group", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.made(kRootInode, "dir", S_IFDIR | 02777);
  SetAttributesRequest chown;
  chown.inode = dir;
  chown.mask = kSetGid | kSetMode;
  chown.gid = 77;
  chown.mode = 02777;
  REQUIRE(f.change(chown).ok());
  const Caller other = user(1000, 1000);
  const Inode sub = f.stat(f.made(dir, "sub", S_IFDIR | 0755, other));
  REQUIRE(sub.gid == 77);
  REQUIRE((sub.mode & S_ISGID) != 0);
  const Inode program = f.stat(f.made(dir, "program", S_IFREG | 02755, other));
  REQUIRE(program.gid == 77);
  REQUIRE((program.mode & S_ISGID) == 0);
  const Inode by_member = f.stat(f.made(dir, "member", S_IFREG | 02755, user(1001, 1000, {77})));
  REQUIRE((by_member.mode & S_ISGID) != 0);
}

TEST_CASE("hard links count, and the last one takes the file", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.mkdir(kRootInode, "dir");
  const InodeId file = f.file(dir, "a");
  const auto link = [&](InodeId inode, std::string_view name) {
    return f.change(LinkRequest{root(), inode, dir, name});
  };
  REQUIRE(link(file, "b")->inode.link_count == 2);
  REQUIRE(link(file, "c")->inode.link_count == 3);
  REQUIRE(errno_of(link(file, "c").status()) == EEXIST);
  REQUIRE(errno_of(link(dir, "d").status()) == EPERM);
  LinkRequest guarded{user(1000, 50), file, dir, "guarded", true};
  REQUIRE(errno_of(f.change(guarded).status()) == EPERM);
  REQUIRE(errno_of(link(999, "d").status()) == ESTALE);
  REQUIRE(f.remove(dir, "a")->inode.link_count == 2);
  REQUIRE(f.lookup(dir, "b")->inode.id == file);
  REQUIRE(f.remove(dir, "c").ok());
  REQUIRE(f.rename(dir, "b", dir, "again").ok());
  const auto last = f.remove(dir, "again");
  REQUIRE(last->inode.link_count == 0);
  REQUIRE(f.stat_errno(file) == ESTALE);
  REQUIRE(f.settle().ok());
  // Nothing of it is left in the index but the word to destroy its objects.
  for (const auto& [key, value] : f.disk.entries())
    REQUIRE_FALSE(is_kind(Bytes(std::string_view(key)), KeyKind::back_link));
}

TEST_CASE("remove and its errors", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.mkdir(kRootInode, "dir", 0777);
  const InodeId sub = f.mkdir(dir, "sub");
  f.file(dir, "file");
  f.file(sub, "inner");
  REQUIRE(errno_of(f.remove(dir, "none").status()) == ENOENT);
  REQUIRE(errno_of(f.remove(dir, "sub").status()) == EISDIR);
  REQUIRE(errno_of(f.remove(dir, "file", true).status()) == ENOTDIR);
  REQUIRE(errno_of(f.remove(dir, "sub", true).status()) == ENOTEMPTY);
  REQUIRE(errno_of(f.remove(sub, "inner", false, user(1000, 1000)).status()) == EACCES);
  REQUIRE(f.remove(sub, "inner").ok());
  REQUIRE(f.remove(dir, "sub", true)->parent.link_count == 2);
  REQUIRE(f.stat_errno(sub) == ESTALE);
  REQUIRE(errno_of(f.make(sub, "x", S_IFREG).status()) == ESTALE);
  REQUIRE(f.name_set(dir) == std::set<std::string>{"file"});
}

TEST_CASE("a sticky directory guards names against others", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.made(kRootInode, "tmp", S_IFDIR | 01777);
  const Caller alice = user(1000, 1000);
  const Caller bob = user(1001, 1001);
  f.made(dir, "hers", S_IFREG | 0666, alice);
  f.made(dir, "his", S_IFREG | 0666, bob);
  REQUIRE(errno_of(f.remove(dir, "hers", false, bob).status()) == EPERM);
  REQUIRE(errno_of(f.rename(dir, "hers", dir, "new", 0, bob).status()) == EPERM);
  REQUIRE(errno_of(f.rename(dir, "his", dir, "hers", 0, bob).status()) == EPERM);
  REQUIRE(f.remove(dir, "hers", false, alice).ok());
  REQUIRE(f.remove(dir, "his", false, root()).ok());
}

TEST_CASE("rename", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId a = f.mkdir(kRootInode, "a");
  const InodeId b = f.mkdir(kRootInode, "b");
  const InodeId file = f.file(a, "file");

  SECTION("within and across directories") {
    REQUIRE(f.rename(a, "file", a, "renamed")->replaced.id == kNoInode);
    REQUIRE(f.name_set(a) == std::set<std::string>{"renamed"});
    const auto across = f.rename(a, "renamed", b, "file");
    REQUIRE(across->inode.id == file);
    REQUIRE(across->old_parent.id == a);
    REQUIRE(across->new_parent.id == b);
    REQUIRE(f.names(a).empty());
    REQUIRE(f.lookup(b, "file")->inode.id == file);
    REQUIRE(f.stat(a).size == 0);
    REQUIRE(f.stat(b).size == 1);
  }
  SECTION("a directory takes its parent's link along") {
    const InodeId sub = f.mkdir(a, "sub");
    REQUIRE(f.rename(a, "sub", b, "sub").ok());
    REQUIRE(f.stat(a).link_count == 2);
    REQUIRE(f.stat(b).link_count == 3);
    REQUIRE(f.lookup(sub, "..")->inode.id == b);
  }
  SECTION("replacing") {
    const InodeId old = f.file(b, "old");
    const auto reply = f.rename(a, "file", b, "old");
    REQUIRE(reply->replaced.id == old);
    REQUIRE(reply->replaced.link_count == 0);
    REQUIRE(f.stat_errno(old) == ESTALE);
    REQUIRE(f.lookup(b, "old")->inode.id == file);
    REQUIRE(f.stat(b).size == 1);
  }
  SECTION("kinds must agree, and only an empty directory is replaced") {
    const InodeId sub = f.mkdir(a, "sub");
    f.file(b, "inside");
    REQUIRE(errno_of(f.rename(a, "file", kRootInode, "b").status()) == EISDIR);
    REQUIRE(errno_of(f.rename(a, "sub", a, "file").status()) == ENOTDIR);
    REQUIRE(errno_of(f.rename(a, "sub", kRootInode, "b").status()) == ENOTEMPTY);
    REQUIRE(f.remove(b, "inside").ok());
    REQUIRE(f.rename(a, "sub", kRootInode, "b").ok());
    REQUIRE(f.lookup(kRootInode, "b")->inode.id == sub);
    REQUIRE(f.stat_errno(b) == ESTALE);
    REQUIRE(f.stat(kRootInode).link_count == 4);
  }
  SECTION("not into itself, and not over what is above") {
    const InodeId sub = f.mkdir(a, "sub");
    const InodeId deep = f.mkdir(sub, "deep");
    REQUIRE(errno_of(f.rename(kRootInode, "a", deep, "x").status()) == EINVAL);
    REQUIRE(errno_of(f.rename(kRootInode, "a", a, "x").status()) == EINVAL);
    REQUIRE(errno_of(f.rename(sub, "deep", kRootInode, "a").status()) == ENOTEMPTY);
    REQUIRE(errno_of(f.rename(sub, "deep", kRootInode, "a", kRenameExchange).status()) == EINVAL);
  }
  SECTION("names of one file: nothing happens") {
    REQUIRE(f.change(LinkRequest{root(), file, b, "other"}).ok());
    REQUIRE(f.rename(a, "file", b, "other").ok());
    REQUIRE(f.last_transaction == 0);
    REQUIRE(f.lookup(a, "file").ok());
    REQUIRE(f.lookup(b, "other").ok());
    REQUIRE(f.rename(a, "file", a, "file").ok());
  }
  SECTION("flags") {
    f.file(b, "old");
    const InodeId sub = f.mkdir(b, "sub");
    REQUIRE(errno_of(f.rename(a, "file", b, "old", kRenameNoReplace).status()) == EEXIST);
    REQUIRE(errno_of(f.rename(a, "file", b, "none", kRenameExchange).status()) == ENOENT);
    REQUIRE(errno_of(f.rename(a, "file", b, "old", kRenameExchange | kRenameNoReplace).status()) == EINVAL);
    REQUIRE(errno_of(f.rename(a, "file", b, "old", 64).status()) == EINVAL);
    REQUIRE(f.rename(a, "file", b, "sub", kRenameExchange)->replaced.id == sub);
    REQUIRE(f.lookup(a, "file")->inode.id == sub);
    REQUIRE(f.lookup(sub, "..")->inode.id == a);
    REQUIRE(f.lookup(b, "sub")->inode.id == file);
    REQUIRE(f.stat(a).link_count == 3);
    REQUIRE(f.stat(b).link_count == 2);
  }
  SECTION("permissions") {
    const Caller other = user(1000, 1000);
    REQUIRE(errno_of(f.rename(a, "file", b, "x", 0, other).status()) == EACCES);
    REQUIRE(errno_of(f.rename(a, "none", b, "x", 0, other).status()) == ENOENT);
    const InodeId open = f.made(kRootInode, "open", S_IFDIR | 0777);
    const InodeId open2 = f.made(kRootInode, "open2", S_IFDIR | 0777);
    f.mkdir(open, "roots", 0755);
    // The ".." of a directory that is not one's own cannot be changed.
    REQUIRE(errno_of(f.rename(open, "roots", open2, "mine", 0, other).status()) == EACCES);
    REQUIRE(f.rename(open, "roots", open, "mine", 0, other).ok());
  }
}

TEST_CASE("a directory is read in pages while it changes", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.mkdir(kRootInode, "dir");
  std::set<std::string> stays;
  for (int i = 0; i < 300; ++i) {
    f.file(dir, "f" + std::to_string(i));
    // Some of them committed, some in the overlay.
    if (i == 200) REQUIRE(f.settle().ok());
    if (i % 3 != 0) stays.insert("f" + std::to_string(i));
  }
  std::set<std::string> seen;
  ReadDirectoryRequest request{dir, 0, 7, false};
  int removed = 0;
  int made = 0;
  for (bool end = false; !end;) {
    auto reply = f.look(request);
    REQUIRE(reply.ok());
    for (const auto& entry : reply->entries) {
      REQUIRE(seen.insert(entry.name).second);
      REQUIRE(entry.cookie > kCookieDotDot);
      REQUIRE(static_cast<std::int64_t>(entry.cookie) > 0);
      request.after = entry.cookie;
    }
    end = reply->end;
    for (int i = 0; i < 5 && removed < 300; ++i, removed += 3)
      REQUIRE(f.remove(dir, "f" + std::to_string(removed)).ok());
    f.file(dir, "new" + std::to_string(made++));
  }
  for (const std::string& name : stays) REQUIRE(seen.contains(name));
  REQUIRE(f.stat(dir).size == f.names(dir, 11).size());
}

TEST_CASE("a page of a directory fits into one reply", "[mds]") {
  Fixture f;
  f.options.object_targets.clear();
  for (TargetId i = 1; i <= 1000; ++i) f.options.object_targets.push_back(i);
  f.options.stripe_count = kStripeAll;
  f.begin();
  const InodeId dir = f.mkdir(kRootInode, "dir");
  std::set<std::string> made;
  for (int i = 0; i < 200; ++i) f.file(dir, *made.insert(std::string(240, 'x') + std::to_string(i)).first);
  const auto page = f.look(ReadDirectoryRequest{dir, 0, 100'000, true});
  REQUIRE_FALSE(page->end);
  wire::Encoded encoded;
  encode(*page, encoded);
  REQUIRE(encoded.bytes().size <= limits::kBodyBytesMax);
  REQUIRE(encoded.bytes().size > limits::kBodyBytesMax / 2);
  REQUIRE(f.name_set(dir) == made);
}

TEST_CASE("that an inode is gone counts as seen until it is durable", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId file = f.file(kRootInode, "f");
  REQUIRE(f.settle().ok());
  REQUIRE(f.remove(kRootInode, "f").ok());
  NamespaceStore& names = f.target().names;
  InodeRecord record;
  names.forget_seen();
  REQUIRE(names.get(file, &record).os_error == ESTALE);
  REQUIRE(names.seen() == std::vector<std::uint64_t>{f.target().committer.last()});
  REQUIRE(f.settle().ok());
  names.forget_seen();
  REQUIRE(names.get(file, &record).os_error == ESTALE);
  REQUIRE(names.seen().empty());
}

TEST_CASE("names of equal hash stand side by side, and the gap that one leaves is used again", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId dir = f.mkdir(kRootInode, "dir");
  const InodeId file = f.file(dir, "other");
  NamespaceStore& names = f.target().names;
  const Cookie first = first_cookie("x", f.target().superblock.hash_seed);
  // Names that collide cannot be found in a test's time, so entries of other names are laid into the way of "x".
  for (int i = 0; i < 3; ++i) names.put_entry(dir, first + i, "other" + std::to_string(i), file, S_IFREG);
  const InodeId made = f.file(dir, "x");
  FoundEntry entry;
  Cookie free = 0;
  REQUIRE(names.find_entry(dir, "x", &entry, &free).ok());
  REQUIRE(entry.cookie == first + 3);
  names.erase_entry(dir, first + 1);
  REQUIRE(f.lookup(dir, "x")->inode.id == made);
  REQUIRE(f.remove(dir, "x").ok());
  REQUIRE(names.find_entry(dir, "x", &entry, &free).os_error == ENOENT);
  REQUIRE(free == first + 1);
  // All 256 places taken: no room for the name, and nothing is lost.
  for (Cookie at = first; at <= last_cookie(first); ++at) {
    names.put_entry(dir, at, "o" + std::to_string(at), file, S_IFREG);
  }
  REQUIRE(errno_of(f.make(dir, "x", S_IFREG | 0600).status()) == ENOSPC);
}
