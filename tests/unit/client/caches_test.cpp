// SPDX-License-Identifier: Apache-2.0
// Goal: the client's caches never tell something older than what they were told, keep what is pinned, and stay bounded.
#include "plugins/client/inode_cache.hpp"
#include "plugins/client/name_cache.hpp"

#include <catch2/catch.hpp>

using namespace rideau;
using namespace rideau::client;

namespace {

fs::Inode file(fs::InodeId id, std::uint64_t change, std::uint64_t size, bool exact = true) {
  fs::Inode inode;
  inode.id = id;
  inode.mode = S_IFREG | 0644;
  inode.link_count = 1;
  inode.change = change;
  inode.size = size;
  inode.flags = exact ? static_cast<std::uint32_t>(fs::kExact) : 0;
  return inode;
}

struct Cache {
  std::vector<fs::InodeId> evicted;
  InodeCache inodes;
  explicit Cache(std::size_t nodes_max = 100)
      : inodes(nodes_max, [this](Node& node) { evicted.push_back(node.inode.id); }) {}
};

}  // namespace

TEST_CASE("an answer that comes late does not undo a newer one") {
  Cache cache;
  cache.inodes.update(file(7, 20, 200), true);
  cache.inodes.update(file(7, 19, 100), true);
  CHECK(cache.inodes.find(7)->inode.size == 200);
  CHECK(cache.inodes.find(7)->inode.change == 20);
  cache.inodes.update(file(7, 21, 300), true);
  CHECK(cache.inodes.find(7)->inode.size == 300);
}

TEST_CASE("what was written here wins over the record until the server was told") {
  Cache cache;
  NodeRef node = cache.inodes.update(file(7, 20, 200, false), true);
  CHECK_FALSE(node->size_known);
  node->inode.size = 4096;
  node->inode.mtime_ns = 50;
  node->size_known = true;
  node->changed = true;

  fs::Inode chmod = file(7, 21, 200, false);
  chmod.mode = S_IFREG | 0600;
  chmod.mtime_ns = 10;
  cache.inodes.update(chmod, true);
  CHECK(node->inode.size == 4096);
  CHECK(node->inode.mtime_ns == 50);
  CHECK(node->inode.mode == (S_IFREG | 0600));

  // utimes opens a new time generation: its time holds, however old.
  fs::Inode utimes = chmod;
  utimes.change = 22;
  utimes.time_generation = 1;
  utimes.mtime_ns = 5;
  cache.inodes.update(utimes, true);
  CHECK(node->inode.mtime_ns == 5);
  CHECK(node->inode.size == 4096);

  node->changed = false;
  cache.inodes.update(file(7, 23, 9000, true), true);
  CHECK(node->inode.size == 9000);
}

TEST_CASE("a size that is known survives a record that is not exact") {
  Cache cache;
  NodeRef node = cache.inodes.update(file(7, 20, 200, true), true);
  REQUIRE(node->size_known);
  cache.inodes.update(file(7, 21, 0, false), true);  // somebody here opened it for writing
  CHECK(node->size_known);
  CHECK(node->inode.size == 200);
  cache.inodes.drop_all();
  CHECK_FALSE(node->valid);
  cache.inodes.update(file(7, 22, 0, false), true);
  CHECK_FALSE(node->size_known);
}

TEST_CASE("a full cache lets the oldest go, but none that is pinned") {
  Cache cache(4);
  NodeRef pinned = cache.inodes.update(file(1, 1, 0), true);
  for (fs::InodeId id = 2; id <= 6; ++id) cache.inodes.update(file(id, id, 0), true);
  CHECK(cache.inodes.size() == 4);
  CHECK(cache.evicted == std::vector<fs::InodeId>{2, 3});
  CHECK(cache.inodes.find(1) != nullptr);
  CHECK(cache.inodes.find(2) == nullptr);
  CHECK(cache.inodes.find(4) != nullptr);
  cache.inodes.update(file(7, 7, 0), true);  // 5 is the oldest now
  CHECK(cache.inodes.find(5) == nullptr);
  CHECK(cache.inodes.find(4) != nullptr);

  std::vector<NodeRef> all;
  for (const fs::InodeId id : {4, 6, 7}) all.push_back(cache.inodes.get(id));
  cache.inodes.update(file(8, 8, 0), true);  // all are pinned: it grows rather than break a promise
  CHECK(cache.inodes.size() == 5);
}

TEST_CASE("dropping everything keeps open inodes, without attributes") {
  Cache cache;
  NodeRef open = cache.inodes.update(file(1, 1, 10), true);
  cache.inodes.update(file(2, 2, 20), true);
  cache.inodes.drop_all();
  CHECK(cache.inodes.size() == 1);
  CHECK_FALSE(open->valid);
  CHECK(open->inode.id == 1);
  CHECK(cache.evicted.size() == 2);
  CHECK(cache.inodes.find(2) == nullptr);
}

TEST_CASE("names: a later change stays, absent names are known as such") {
  NameCache names(100);
  CHECK_FALSE(names.find(1, "a", 1).has_value());
  names.put(1, "a", 7, 1);
  CHECK(names.find(1, "a", 1) == fs::InodeId{7});
  names.put(1, "a", fs::kNoInode, 1, 12);  // removed by transaction 12
  names.put(1, "a", 7, 1, 11);             // the answer of its creation comes late
  CHECK(names.find(1, "a", 1) == fs::kNoInode);
  names.put(1, "a", 9, 1, 13);
  CHECK(names.find(1, "a", 1) == fs::InodeId{9});
  CHECK_FALSE(names.find(2, "a", 1).has_value());
  names.forget(1, "a");
  CHECK_FALSE(names.find(1, "a", 1).has_value());
  names.put(1, "b", 3, 1);
  names.clear();
  CHECK(names.size() == 0);
  CHECK_FALSE(names.find(1, "b", 1).has_value());
}

TEST_CASE("names: bounded, the one that was not used goes first") {
  NameCache names(3);
  names.put(1, "a", 10, 1);
  names.put(1, "b", 11, 1);
  names.put(1, "c", 12, 1);
  CHECK(names.find(1, "a", 1).has_value());
  names.put(1, "d", 13, 1);
  CHECK(names.size() == 3);
  CHECK(names.find(1, "a", 1).has_value());
  CHECK_FALSE(names.find(1, "b", 1).has_value());
}

TEST_CASE("names: a directory hears of what is known no more, and of nothing else") {
  std::vector<fs::InodeId> lost;
  NameCache names(2, [&lost](fs::InodeId directory) { lost.push_back(directory); });
  names.put(1, "a", 10, 1);
  names.put(2, "b", 11, 1);
  names.put(2, "b", fs::kNoInode, 1, 5);
  CHECK(lost.empty());
  names.put(3, "c", 12, 1);
  CHECK(lost == std::vector<fs::InodeId>{1});
  names.forget(3, "c");
  CHECK(lost == std::vector<fs::InodeId>{1, 3});
}
