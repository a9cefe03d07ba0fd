// SPDX-License-Identifier: Apache-2.0
// Goal: the overlay and the commits: groups, order, a full index, a failing store.
#include "tests/unit/mds/fixture.hpp"

#include <map>
#include <random>

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

TEST_CASE("a group keeps the last edit of each key, like a map", "[mds]") {
  std::mt19937_64 random(7);
  for (int round = 0; round < 20; ++round) {
    EditGroup group;
    std::map<std::string, std::optional<std::string>> model;
    for (int i = 0; i < 3000; ++i) {
      const Cookie cookie = random() % 400;
      const Key key = entry_key(random() % 3, round < 10 ? cookie : cookie * 256);
      const std::string text(Bytes(key).view());
      if (random() % 4 == 0) {
        group.erase(key);
        model[text] = std::nullopt;
      } else {
        const std::string value(random() % 300, static_cast<char>(random()));
        group.put(key, Bytes(std::string_view(value)));
        model[text] = value;
      }
    }
    REQUIRE(group.edit_count() == model.size());
    for (const auto& [key, value] : model) {
      const EditGroup::Item* item = group.find(Bytes(std::string_view(key)));
      REQUIRE(item != nullptr);
      REQUIRE(item->erased == !value.has_value());
      if (value) REQUIRE(item->value.view() == *value);
    }
    // Names of one hash are asked before and after there is an order.
    const auto check_hash = [&](InodeId directory, Cookie at) {
      const Key from = entry_key(directory, at);
      const Key hash = entry_hash_key(directory, at);
      const auto expected = model.lower_bound(std::string(Bytes(from).view()));
      const bool some = expected != model.end() && has_prefix(Bytes(std::string_view(expected->first)), hash);
      const EditGroup::Item* item = group.find_from(hash, from);
      REQUIRE((item != nullptr) == some);
      if (some) REQUIRE(item->key.view() == expected->first);
    };
    if (round % 2 == 0) check_hash(random() % 4, random() % 2 * 256);
    for (int i = 0; i < 300; ++i) {
      const Key from = entry_key(random() % 4, random() % 500);
      const auto expected = model.lower_bound(std::string(Bytes(from).view()));
      const Key kind(KeyKind::entry);
      const EditGroup::Item* item = group.find_from(kind, from);
      REQUIRE((item != nullptr) == (expected != model.end()));
      if (item != nullptr) REQUIRE(item->key.view() == expected->first);
      check_hash(random() % 4, random() % 800 * (random() % 4 == 0 ? 1 : 128));
    }
    group.clear();
    REQUIRE(group.find(Key(KeyKind::counters)) == nullptr);
  }
}

TEST_CASE("reading in order merges what is committed, being committed, and pending", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Fixture f(seed);
    f.begin();
    NamespaceStore& names = f.target().names;
    std::mt19937_64 random(seed);
    std::map<Cookie, std::string> model;
    for (int i = 0; i < 600; ++i) {
      REQUIRE(f.await(f.target().committer.admit(Need::steady)).ok());
      f.target().committer.begin_transaction();
      const Cookie cookie = 3 + random() % 100;
      if (random() % 3 == 0) {
        names.erase_entry(77, cookie);
        model.erase(cookie);
      } else {
        const std::string name = "n" + std::to_string(random() % 1000);
        names.put_entry(77, cookie, name, 5, S_IFREG);
        model[cookie] = name;
      }
      if (random() % 8 == 0) f.world.run_for(random() % (2 * kMillisecond));
      if (i % 10 != 0) continue;
      Cookie after = 0;
      for (const auto& [at, name] : model) {
        FoundEntry found;
        std::string_view seen;
        REQUIRE(names.next_entry(77, after, &found, &seen).ok());
        REQUIRE(found.cookie == at);
        REQUIRE(seen == name);
        after = at;
      }
      FoundEntry found;
      std::string_view seen;
      REQUIRE(names.next_entry(77, after, &found, &seen).code == Code::not_found);
    }
  }
}

TEST_CASE("many operations share a commit", "[mds]") {
  Fixture f;
  f.begin();
  REQUIRE(f.settle().ok());
  const std::uint64_t before = f.disk.batches_applied();
  for (int i = 0; i < 500; ++i) f.file(kRootInode, "f" + std::to_string(i));
  REQUIRE(f.target().committer.durable() < f.target().committer.last());
  REQUIRE(f.settle().ok());
  REQUIRE(f.target().committer.durable() == f.target().committer.last());
  REQUIRE(f.disk.batches_applied() - before <= 3);
}

TEST_CASE("a store that fails stops the target", "[mds]") {
  Fixture f;
  f.begin();
  REQUIRE(f.settle().ok());
  f.disk.fail_next_commit();
  f.file(kRootInode, "lost");
  REQUIRE(errno_of(f.settle()) == EIO);
  REQUIRE(errno_of(f.await(f.target().committer.admit(Need::steady))) == EIO);
  REQUIRE(f.log.contains("this target stops"));
  f.power_cut(1);
  f.begin();
  REQUIRE(f.names(kRootInode).empty());
}

TEST_CASE("a full index: ENOSPC for what grows, removing goes on (S58)", "[mds]") {
  sim::SimIndexOptions small;
  small.bytes_total = 8u << 20;
  Fixture f(3, small);
  f.begin();
  std::vector<std::string> made;
  for (;;) {
    const Status admitted = f.await(f.target().committer.admit(Need::grows));
    if (!admitted.ok()) {
      REQUIRE(errno_of(admitted) == ENOSPC);
      break;
    }
    MakeRequest request;
    request.parent = kRootInode;
    const std::string name = "f" + std::to_string(made.size());
    request.name = name;
    request.mode = S_IFREG | 0600;
    Transaction transaction(f.target());
    REQUIRE(apply(f.target(), transaction, request, *f.session).ok());
    made.push_back(name);
    REQUIRE(made.size() < 100'000);
  }
  REQUIRE(made.size() > 100);
  REQUIRE(f.settle().ok());
  for (const std::string& name : made) {
    REQUIRE(f.close(f.lookup(kRootInode, name)->inode.id, 0, {0, 0, 1, 0, true}).ok());
    REQUIRE(f.remove(kRootInode, name).ok());
  }
  f.world.run_for(20 * kSecond);
  REQUIRE(f.settle().ok());
  REQUIRE(f.destroyer.gone.size() == made.size());
  REQUIRE(f.await(f.target().committer.admit(Need::grows)).ok());
  REQUIRE(f.names(kRootInode).empty());
}

TEST_CASE("who was admitted to a full index and edited nothing keeps nobody waiting", "[mds]") {
  sim::SimIndexOptions small;
  small.bytes_total = 8u << 20;  // asked for its space after each commit
  Fixture f(4, small);
  f.begin();
  f.disk.set_full(true);
  REQUIRE(f.make(kRootInode, "last", S_IFREG | 0600).ok());
  REQUIRE(f.settle().ok());
  REQUIRE(errno_of(f.await(f.target().committer.admit(Need::grows))) == ENOSPC);
  REQUIRE(f.await(f.target().committer.admit(Need::steady)).ok());
  f.disk.set_full(false);
  REQUIRE(f.await(f.target().committer.admit(Need::grows)).ok());
}
