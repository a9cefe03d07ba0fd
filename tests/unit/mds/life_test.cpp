// SPDX-License-Identifier: Apache-2.0
// Goal: what a target keeps over stops, power cuts and refusals to start: names are a prefix, numbers never come again,
// objects of removed files go for certain, strangers' data is left alone.
#include "tests/unit/mds/fixture.hpp"

using namespace rideau;
using namespace rideau::mds;
using namespace rideau::fs;

TEST_CASE("everything is there after a stop", "[mds]") {
  Fixture f;
  f.begin();
  const std::uint64_t epoch = f.mds().boot_epoch();
  const std::uint64_t session_id = f.session->id;
  const InodeId dir = f.mkdir(kRootInode, "dir");
  const InodeId file = f.file(dir, "file");
  const std::uint64_t transaction = f.target().committer.last();
  f.stop();
  f.begin();
  REQUIRE(f.mds().boot_epoch() == epoch + 1);
  REQUIRE(f.session->id > session_id);
  REQUIRE(f.target().committer.last() > transaction);
  REQUIRE(f.lookup(dir, "file")->inode.id == file);
  REQUIRE(f.file(dir, "next") > file);
  REQUIRE(f.target().committer.counters().inodes == 4);
  REQUIRE(f.target().committer.counters().entries == 3);
}

TEST_CASE("after a power cut there is a prefix of what was done, and no number comes again", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Fixture f(seed);
    f.begin();
    const InodeId dir = f.mkdir(kRootInode, "dir");
    REQUIRE(f.settle().ok());
    std::vector<InodeId> made;
    std::uint64_t durable_count = 0;
    const int count = 1 + static_cast<int>(seed * 7 % 50);
    for (int i = 0; i < count; ++i) {
      made.push_back(f.file(dir, "f" + std::to_string(i)));
      if (i == count / 2) {
        REQUIRE(f.settle().ok());
        durable_count = made.size();
      }
    }
    const std::uint64_t last = f.target().committer.last();
    f.power_cut(seed);
    f.begin();
    const auto names = f.name_set(dir);
    REQUIRE(names.size() >= durable_count);
    for (std::size_t i = 0; i < names.size(); ++i) REQUIRE(names.contains("f" + std::to_string(i)));
    REQUIRE(f.stat(dir).size == names.size());
    REQUIRE(f.target().committer.counters().entries == names.size() + 1);
    REQUIRE(f.target().committer.last() > last);
    // Inode numbers that were given out before the cut stay used, whether their files are there or not.
    REQUIRE(f.file(dir, "new") > made.back());
  }
}

TEST_CASE("objects of removed files are destroyed, after failures and power cuts too", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Fixture f(seed);
    f.destroyer.failing = true;
    f.begin();
    std::vector<Inode> files;
    for (int i = 0; i < 300; ++i) files.push_back(f.stat(f.touched_file(kRootInode, "f" + std::to_string(i))));
    for (int i = 0; i < 300; i += 2) REQUIRE(f.remove(kRootInode, "f" + std::to_string(i)).ok());
    REQUIRE(f.settle().ok());
    f.world.run_for(seed % 5 * kSecond);
    REQUIRE(f.destroyer.gone.empty());
    if (seed % 2 == 0) {
      f.power_cut(seed);
      f.begin();
    }
    f.destroyer.failing = false;
    f.world.run_for(20 * kSecond);
    for (int i = 0; i < 300; ++i) REQUIRE(f.destroyer.is_gone(files[static_cast<std::size_t>(i)]) == (i % 2 == 0));
    REQUIRE(f.settle().ok());
    for (const auto& [key, value] : f.disk.entries())
      REQUIRE_FALSE(is_kind(Bytes(std::string_view(key)), KeyKind::destroy));
  }
}

TEST_CASE("no object goes before the removal of its file is durable", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Fixture f(seed);
    f.begin();
    std::vector<Inode> files;
    for (int i = 0; i < 10; ++i) files.push_back(f.stat(f.touched_file(kRootInode, "f" + std::to_string(i))));
    REQUIRE(f.settle().ok());
    for (int i = 0; i < 10; ++i) {
      REQUIRE(f.remove(kRootInode, "f" + std::to_string(i)).ok());
      f.world.run_for(seed * 300 * kMicrosecond);
    }
    f.power_cut(seed);
    const auto gone = f.destroyer.gone;
    f.begin();
    for (const Inode& file : files) {
      const bool there = f.stat_errno(file.id) == 0;
      const ObjectId id = object_id(file.id, file.layout.generation, 0);
      if (there) REQUIRE_FALSE(gone.contains({file.layout.targets[0], id.high, id.low}));
    }
  }
}

TEST_CASE("a file that nobody wrote to has no objects to destroy", "[mds]") {
  Fixture f;
  f.begin();
  const auto create = [&](fs::HandleId handle) {
    MakeRequest request;
    request.parent = kRootInode;
    request.name = "f";
    request.mode = S_IFREG | 0600;
    request.open = true;
    request.open_flags = kOpenWrite;
    request.handle = handle;
    return f.change(request)->inode.id;
  };
  const auto closed = [&](InodeId inode, HandleId handle, bool untouched) {
    REQUIRE(f.change(CloseRequest{{{inode, handle, {0, 0, 1, 0, true}, untouched}}}).ok());
  };
  const auto destroys = [&] {
    const std::uint64_t before = f.target().destroys_recorded;
    REQUIRE(f.remove(kRootInode, "f").ok());
    return f.target().destroys_recorded - before;
  };
  closed(create(1), 1, true);
  REQUIRE(destroys() == 0);
  // A reader has nothing to say.
  InodeId file = create(1);
  closed(file, 1, true);
  REQUIRE(f.open(file, kOpenRead, 2).ok());
  closed(file, 2, false);
  REQUIRE(destroys() == 0);

  closed(create(1), 1, false);
  REQUIRE(destroys() == 1);
  // One of two writers.
  file = create(1);
  REQUIRE(f.open(file, kOpenWrite, 2).ok());
  closed(file, 2, false);
  closed(file, 1, true);
  REQUIRE(destroys() == 1);
  // A writer who went without a word.
  file = create(1);
  {
    Transaction transaction(f.target());
    REQUIRE(drop_handle(f.target(), transaction, *f.session, 1).ok());
  }
  REQUIRE(destroys() == 1);
  // Somebody is about to grow it.
  file = create(1);
  REQUIRE(f.close(file, 0).ok());
  closed(file, 1, true);
  REQUIRE(destroys() == 1);
  file = create(1);
  closed(file, 1, true);
  SetAttributesRequest cut;
  cut.inode = file;
  cut.mask = kSetSize;
  REQUIRE(f.change(cut).ok());
  REQUIRE(destroys() == 1);
  file = create(1);
  closed(file, 1, true);
  REQUIRE(f.open(file, kOpenWrite | kOpenTruncate, 2).ok());
  closed(file, 2, true);
  REQUIRE(destroys() == 1);

  // A crash forgets who had it open, also where the file changes afterwards.
  for (const bool changes : {false, true}) {
    file = create(1);
    closed(file, 1, true);
    REQUIRE(f.settle().ok());
    f.power_cut(1);
    f.begin();
    SetAttributesRequest mode;
    mode.inode = file;
    mode.mask = kSetMode;
    if (changes) REQUIRE(f.change(mode).ok());
    REQUIRE(destroys() == 1);
  }
}

TEST_CASE("inode numbers never come again, not even those of the first creates of a target", "[mds]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Fixture f(seed);
    f.begin();
    const InodeId lost = f.file(kRootInode, "f");
    f.power_cut(seed);
    f.begin();
    REQUIRE(f.file(kRootInode, "g") > lost);
  }
}

TEST_CASE("objects of creates that a crash lost are destroyed, and no others", "[mds]") {
  int lost_count = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Fixture f(seed);
    f.begin();
    std::vector<Inode> files;
    const auto make = [&](const std::string& name) {
      files.push_back(f.stat(f.file(kRootInode, name)));
      const Inode& file = files.back();
      f.destroyer.present.insert({file.layout.targets[0], file.id, object_id(file.id, file.layout.generation, 0).low});
    };
    for (int i = 0; i < 20; ++i) make("a" + std::to_string(i));
    REQUIRE(f.settle().ok());
    for (int i = 0; i < 20; ++i) make("b" + std::to_string(i));
    f.world.run_for(seed % 4 * 300 * kMicrosecond);
    f.power_cut(seed);
    f.destroyer.failing = seed % 3 == 0;
    f.begin();
    if (f.destroyer.failing) {
      // A second crash before the object targets answered must not forget the first.
      f.world.run_for(seed * kMillisecond);
      f.power_cut(seed + 1);
      f.destroyer.failing = false;
      f.begin();
    }
    f.file(kRootInode, "new");
    f.world.run_for(5 * kSecond);
    for (const Inode& file : files) {
      const bool lost = f.stat_errno(file.id) != 0;
      INFO("seed " << seed << " inode " << file.id << " sweep from " << f.target().superblock.sweep_from);
      REQUIRE(f.destroyer.is_gone(file) == lost);
      if (lost) ++lost_count;
    }
    // A client of the last epoch was late with its bytes.
    const Inode* late = nullptr;
    for (const Inode& file : files) {
      if (f.stat_errno(file.id) != 0) late = &file;
    }
    if (late != nullptr) f.destroyer.gone.clear();
    f.world.run_for(300 * kSecond);
    if (late != nullptr) REQUIRE(f.destroyer.is_gone(*late));
    REQUIRE(f.target().superblock.sweep_from == 0);
  }
  REQUIRE(lost_count > 0);
}

TEST_CASE("what was open and unlinked goes after a crash, and so do sessions, when their clients do not come back",
          "[mds]") {
  Fixture f;
  f.begin();
  MakeRequest create;
  create.parent = kRootInode;
  create.name = "f";
  create.mode = S_IFREG | 0600;
  create.open = true;
  create.open_flags = kOpenWrite;
  create.handle = 1;
  const Inode file = f.change(create)->inode;
  REQUIRE(f.remove(kRootInode, "f").ok());
  f.target().names.put_record(session_key(f.session->id), SessionRecord{make_uuid({7}), "somebody", 1});
  f.target().names.put_record(slot_key(f.session->id, 3), SlotRecord{});
  REQUIRE(f.settle().ok());
  REQUIRE(f.stat(file.id).link_count == 0);
  f.power_cut(1);
  f.begin();
  REQUIRE(f.mds().recovery() != "");
  REQUIRE(f.stat(file.id).link_count == 0);  // its client may come back
  f.world.run_for(5 * kSecond);
  REQUIRE(f.mds().recovery() == "");
  REQUIRE(f.stat_errno(file.id) == ESTALE);
  REQUIRE(f.destroyer.is_gone(file));
  REQUIRE(f.target().committer.counters().inodes == 1);
  REQUIRE(f.settle().ok());
  REQUIRE(f.disk.entry_count() == 3);  // superblock, counters, root
}

TEST_CASE("data of others is refused and left untouched", "[mds]") {
  Fixture f;
  f.begin();
  f.file(kRootInode, "f");
  f.stop();
  const auto before = f.disk.entries();
  const auto refused = [&](const char* words) {
    const Status status = f.start();
    REQUIRE_FALSE(status.ok());
    REQUIRE(f.log.contains(words));
    f.stop();
    REQUIRE(f.disk.entries() == before);
  };
  SECTION("of another cluster") {
    f.options.cluster = make_uuid({9});
    refused("check the path in the configuration");
  }
  SECTION("of another target") {
    f.options.target = 6;
    refused("check the path in the configuration");
  }
}

TEST_CASE("an index with something else in it is not formatted", "[mds]") {
  Fixture f;
  f.boot();
  const std::string key = "somebody's";
  const std::string value = "data";
  Edit edit{Edit::Kind::put, Bytes(std::string_view(key)), Bytes(std::string_view(value))};
  IndexBatch batch;
  batch.edits = &edit;
  batch.edit_count = 1;
  const auto put = [](Fixture& fixture, IndexBatch& what) -> Task<Status> {
    const Outcome done =
        co_await submit([&](Completion& c) { return fixture.run->index->commit(&what, 1, Durability::durable, c); });
    co_return done.status;
  };
  REQUIRE(f.await(put(f, batch)).ok());
  REQUIRE(f.await(f.mds().format()).code == Code::refused);
  REQUIRE(f.await(f.mds().start()).code == Code::refused);
  f.stop();
  REQUIRE(f.disk.entry_count() == 1);
}

TEST_CASE("a damaged record costs one call and not the target", "[mds]") {
  Fixture f;
  f.begin();
  const InodeId file = f.file(kRootInode, "f");
  const InodeId other = f.file(kRootInode, "g");
  const Key key = inode_key(file);
  Bytes value;
  REQUIRE(f.target().committer.get(key, &value).ok());
  std::string damaged(value.view());
  damaged[20] = static_cast<char>(damaged[20] ^ 4);
  f.target().committer.put(key, Bytes(std::string_view(damaged)));
  REQUIRE(f.stat_errno(file) == EIO);
  REQUIRE(errno_of(f.remove(kRootInode, "f").status()) == EIO);
  REQUIRE(f.log.contains("run rideau fsck"));
  REQUIRE(f.stat(other).link_count == 1);
  REQUIRE(f.remove(kRootInode, "g").ok());
}
