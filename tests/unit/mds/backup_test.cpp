// SPDX-License-Identifier: Apache-2.0
// Goal: a backup holds everything durable of one moment and comes back as it was, with numbers that nobody can have
// used; any other bytes are refused, and an index that is not empty is left alone.
#include "framework/runtime/byte_sink.hpp"
#include "plugins/mds/backup.hpp"
#include "tests/unit/mds/fixture.hpp"

#include <algorithm>

namespace rideau::mds {
namespace {

struct MemorySink final : ByteSink {
  Task<Status> write(Bytes bytes) override {
    all.insert(all.end(), bytes.data, bytes.data + bytes.size);
    co_return all.size() > room ? Status{Code::no_space, 0, "full"} : kOk;
  }
  std::vector<std::uint8_t> all;
  std::size_t room = ~std::size_t{0};
};

BackupReader reader_of(const std::vector<std::uint8_t>& bytes) {
  return BackupReader([&bytes, at = std::size_t{0}](MutableBytes room) mutable {
    const std::size_t size = std::min(room.size, bytes.size() - at);
    std::copy_n(bytes.data() + at, size, room.data);
    at += size;
    return size;
  });
}

Status read_whole(const std::vector<std::uint8_t>& bytes) {
  BackupReader reader = reader_of(bytes);
  BackupHead head;
  Bytes key;
  Bytes value;
  Status status = reader.head(&head);
  while (status.ok()) status = reader.next(&key, &value);
  return status;
}

Status restore(Fixture& at, const std::vector<std::uint8_t>& bytes) {
  BackupReader reader = reader_of(bytes);
  BackupHead head;
  const Status known = reader.head(&head);
  if (!known.ok()) return known;
  return at.await(restore_backup(*at.run->index, reader, [](std::uint64_t) {}));
}

TEST_CASE("a backup comes back as it was, and numbers go on far behind") {
  Fixture first;
  first.begin();
  for (int i = 0; i < 500; ++i) first.file(fs::kRootInode, "file" + std::to_string(i));
  MemorySink sink;
  REQUIRE(first.await(first.mds().backup(sink)).ok());
  CHECK(read_whole(sink.all).code == Code::not_found);
  // What comes after it is not in it; its numbers must not be given out again.
  const fs::InodeId lost = first.file(fs::kRootInode, "lost");
  const std::uint64_t lost_transaction = first.target().committer.last();
  const std::uint64_t lost_epoch = first.mds().boot_epoch();

  Fixture second(2);
  second.boot();
  REQUIRE(restore(second, sink.all).ok());
  REQUIRE(second.start().ok());
  second.session = &second.target().sessions.add(second.mds().next_session_id(), nullptr);
  CHECK(second.target().committer.counters().inodes == 501);
  for (const char* name : {"file0", "file250", "file499"}) {
    const auto here = second.lookup(fs::kRootInode, name);
    REQUIRE(here.ok());
    CHECK(here->inode.id == first.lookup(fs::kRootInode, name)->inode.id);
  }
  CHECK_FALSE(second.lookup(fs::kRootInode, "lost").ok());
  CHECK(second.file(fs::kRootInode, "fresh") > lost + 1000);
  CHECK(second.target().committer.last() > lost_transaction + 1000);
  CHECK(second.mds().boot_epoch() > lost_epoch + 1000);
}

TEST_CASE("an index that is not empty is left alone") {
  Fixture first;
  first.begin();
  first.file(fs::kRootInode, "file");
  MemorySink sink;
  REQUIRE(first.await(first.mds().backup(sink)).ok());
  Fixture second(2);
  second.begin();
  second.file(fs::kRootInode, "mine");
  REQUIRE(second.settle().ok());
  CHECK(restore(second, sink.all).code == Code::exists);
  CHECK(second.lookup(fs::kRootInode, "mine").ok());
  CHECK_FALSE(second.lookup(fs::kRootInode, "file").ok());
}

TEST_CASE("a sink that is full ends the backup, the target goes on") {
  Fixture at;
  at.begin();
  at.file(fs::kRootInode, "file");
  MemorySink sink;
  sink.room = 10;
  CHECK(at.await(at.mds().backup(sink)).code == Code::no_space);
  at.file(fs::kRootInode, "another");
  CHECK(at.settle().ok());
}

TEST_CASE("every damage is found, wherever it is") {
  Fixture at;
  at.begin();
  for (int i = 0; i < 20; ++i) at.file(fs::kRootInode, "f" + std::to_string(i));
  MemorySink sink;
  REQUIRE(at.await(at.mds().backup(sink)).ok());
  for (std::size_t size = 0; size < sink.all.size(); size += 7) {
    const std::vector<std::uint8_t> cut(sink.all.begin(), sink.all.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK(read_whole(cut).code == Code::corrupt);
  }
  for (std::size_t place = 0; place < sink.all.size(); ++place) {
    std::vector<std::uint8_t> flipped = sink.all;
    flipped[place] ^= 0x40;
    const Status status = read_whole(flipped);
    const bool version = place >= 8 && place < 12;
    CHECK((status.code == Code::corrupt || (version && status.code == Code::refused)));
  }
}

TEST_CASE("a restore that was cut off leaves no target") {
  Fixture first;
  first.begin();
  for (int i = 0; i < 50; ++i) first.file(fs::kRootInode, "f" + std::to_string(i));
  MemorySink sink;
  REQUIRE(first.await(first.mds().backup(sink)).ok());
  std::vector<std::uint8_t> cut = sink.all;
  cut.resize(cut.size() - 5);
  Fixture second(2);
  second.boot();
  CHECK(restore(second, cut).code == Code::corrupt);
  CHECK(second.await(second.mds().format()).ok());  // still empty: nothing was committed before the end was seen
}

}  // namespace
}  // namespace rideau::mds
