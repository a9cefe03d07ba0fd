// SPDX-License-Identifier: Apache-2.0
// Goal: a file without bytes changes its layout and leaves no object behind; directories hand their default down; who
// may not is refused.
#include "tests/unit/mds/fixture.hpp"

#include "plugins/fs/layout_text.hpp"

#include <cerrno>

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

namespace {

struct Striped : Fixture {
  Striped() { begin(); }
  int set(InodeId inode, std::string_view text, const Caller& caller = root()) {
    return errno_of(change(SetAttributeRequest{caller, inode, kLayoutAttribute, text, 0}));
  }
  std::string get(InodeId inode, const Caller& caller = root()) {
    const auto reply = look(GetAttributeRequest{caller, inode, kLayoutAttribute});
    return reply.ok() ? reply->value : "errno " + std::to_string(errno_of(reply.status()));
  }
};

}  // namespace

TEST_CASE("a file without bytes changes its layout", "[mds]") {
  Striped f;
  const InodeId inode = f.touched_file(kRootInode, "file");
  const Inode before = f.stat(inode);
  REQUIRE(f.set(inode, "stripe_count=2 stripe_size=65536 stripe_offset=2") == 0);
  const Inode after = f.stat(inode);
  REQUIRE(after.layout == Layout{before.layout.generation + 1, 65536, {13, 11}});
  REQUIRE(after.change > before.change);
  REQUIRE(f.get(inode) == "stripe_count=2 stripe_size=65536 stripe_offset=2 inline=0 bytes=objects targets=13,11");
  // The objects that it may have had under the old layout go.
  REQUIRE(f.world.run_until([&] { return f.destroyer.is_gone(before); }, f.world.now_ns() + 10 * kSecond) ==
          sim::SimWorld::End::done);
  REQUIRE_FALSE(f.destroyer.is_gone(after));
  // What is not said stays.
  REQUIRE(f.set(inode, "stripe_count=default") == 0);
  REQUIRE(f.stat(inode).layout.stripe_size == 65536);
  REQUIRE(f.stat(inode).layout.stripe_count() == 1);
}

TEST_CASE("a file that has bytes or may get some keeps its layout", "[mds]") {
  Striped f;
  const InodeId inode = f.file(kRootInode, "file");
  REQUIRE(f.open(inode, kOpenRead, 1).ok());
  REQUIRE(f.set(inode, "stripe_count=2") == 0);
  REQUIRE(f.open(inode, kOpenWrite, 2).ok());
  REQUIRE(f.set(inode, "stripe_count=1") == EBUSY);
  REQUIRE(f.close(inode, 2).ok());
  // Nobody said what the writer left.
  REQUIRE(f.set(inode, "stripe_count=1") == EBUSY);
  SizeUpdate update;
  update.present = true;
  update.size = 1;
  REQUIRE(f.close(inode, 0, update).ok());
  REQUIRE(f.set(inode, "stripe_count=1") == ENOTEMPTY);
  REQUIRE(f.stat(inode).layout.stripe_count() == 2);
}

TEST_CASE("directories hand their default down", "[mds]") {
  Striped f;
  const InodeId top = f.mkdir(kRootInode, "top");
  REQUIRE(f.set(top, "stripe_count=all stripe_offset=1") == 0);
  REQUIRE(f.get(top) == "stripe_count=all stripe_size=default stripe_offset=1 inline=default");
  const InodeId inner = f.mkdir(top, "inner");
  REQUIRE(f.stat(f.file(inner, "file")).layout.targets == std::vector<TargetId>{12, 13, 11});
  REQUIRE(f.change(RemoveAttributeRequest{root(), inner, kLayoutAttribute}).ok());
  REQUIRE(f.stat(inner).layout_default == LayoutDefault{});
  REQUIRE(f.stat(top).layout_default.stripe_count == kStripeAll);
  REQUIRE(f.look(ListAttributesRequest{root(), top})->names.empty());
}

TEST_CASE("who may see and choose layouts", "[mds]") {
  Striped f;
  const Caller alice = user(1000, 1000);
  const Caller bob = user(1001, 1001);
  const InodeId dir = f.made(kRootInode, "dir", S_IFDIR | 0777);
  const InodeId file = f.made(dir, "file", S_IFREG | 0666, alice);
  const InodeId secret = f.made(dir, "secret", S_IFREG | 0600, alice);
  REQUIRE(f.set(file, "stripe_count=2", alice) == 0);
  REQUIRE(f.set(file, "stripe_count=1", bob) == EPERM);
  REQUIRE(f.set(secret, "stripe_count=1", bob) == EACCES);
  REQUIRE(f.set(dir, "stripe_count=1", bob) == EPERM);
  REQUIRE(f.get(file, bob) != f.get(secret, bob));
  REQUIRE(f.get(secret, bob) == "errno " + std::to_string(EACCES));
  const InodeId fifo = f.made(dir, "fifo", S_IFIFO | 0666);
  REQUIRE(f.get(fifo) == "errno " + std::to_string(ENODATA));
  REQUIRE(f.set(fifo, "stripe_count=1") == EPERM);
  REQUIRE(f.set(file, "stripe_count=4") == EINVAL);
  REQUIRE(f.set(file, "stripe_offset=3") == EINVAL);
  REQUIRE(f.set(file, "nonsense") == EINVAL);
  REQUIRE(errno_of(f.change(RemoveAttributeRequest{alice, file, kLayoutAttribute})) == EOPNOTSUPP);
}
