// SPDX-License-Identifier: Apache-2.0
// Goal: a small write over a part of a block is durable without the device, is what is read from then on, gets into its
// block later with others, and stays within its bounds; how much each kind of overwriting writes is held by counts.
#include "backends/block_device/map_records.hpp"
#include "sdk/testkit/dice.hpp"
#include "tests/unit/block_device/block_bench.hpp"

#include <functional>

namespace rideau::block_device {
namespace {

constexpr ObjectId kA{1, 0};
constexpr std::uint64_t kDiskBytes = kDeviceBytesMin + (8 << 20);
constexpr std::uint64_t kObjectBytes = 1 << 20;
constexpr std::uint64_t kIoBytes = 256 << 10;  // of a read or write of this test, at most

Task<> must(Task<Status> call) {
  const Status status = co_await std::move(call);
  CHECK(status.ok());
}

Task<> expect(StoreCalls calls, std::string bytes) {
  ObjectStat stat;
  co_await must(calls.stat(kA, &stat));
  CHECK(stat.size == bytes.size());
  for (std::uint64_t at = 0; at < bytes.size(); at += kIoBytes) {
    std::string found;
    co_await must(calls.read(kA, at, kIoBytes, &found));
    const bool same = found == bytes.substr(at, kIoBytes);
    CHECK(same);
  }
}

struct Bench {
  sim::SimWorld world{1};
  sim::SimIndexDisk index_disk;
  sim::SimBlockDisk disk{kDiskBytes};
  std::string bytes;

  // Starts the store, does this, and stops it.
  void live(const std::function<Task<>(BlockLife&)>& work) {
    BlockLife life(world, index_disk, disk);
    REQUIRE(life.start().ok());
    life.run(work(life));
    life.stop();
  }
  // An object in blocks.
  Task<> fill(BlockLife& life, std::uint64_t size) {
    bytes = Dice(3).nonzero_bytes(size);
    for (std::uint64_t at = 0; at < size; at += kIoBytes) {
      co_await must(life.calls().write(kA, at, bytes.substr(at, kIoBytes)));
    }
    co_await must(life.calls().flush());
  }
  Task<> overwrite(BlockLife& life, std::uint64_t offset, std::string with) {
    if (bytes.size() < offset + with.size()) bytes.resize(offset + with.size(), '\0');
    bytes.replace(offset, with.size(), with);
    co_await must(life.calls().write(kA, offset, with));
  }
  void cut_power() {
    index_disk.power_cut(1);
    disk.power_cut([](std::size_t) { return false; });
  }
  // Bytes that lie over blocks in the index.
  std::uint64_t patched() const {
    std::uint64_t count = 0;
    for (const auto& [key, value] : index_disk.entries()) {
      ObjectId id;
      std::uint64_t number = 0;
      std::vector<Block> blocks;
      Patches patches;
      if (!parse_segment_key(Bytes(std::string_view(key)), &id, &number)) continue;
      REQUIRE(read_segment(Bytes(std::string_view(key)), Bytes(std::string_view(value)), &blocks, &patches).ok());
      count += patches.bytes();
    }
    return count;
  }
};

// What so many overwrites cost, with a flush after each.
struct Cost {
  std::uint64_t reads = 0;
  std::uint64_t writes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t device_bytes = 0;
  std::uint64_t index_bytes = 0;
  std::uint64_t batches = 0;
};

constexpr std::uint64_t kOverwrites = 64;

Cost cost_of(std::uint64_t deferred_write_max, std::uint64_t size,
             const std::function<std::uint64_t(std::uint64_t)>& at) {
  Bench bench;
  Cost cost;
  bench.disk.settings.deferred_write_max = deferred_write_max;
  bench.live([&](BlockLife& life) -> Task<> {
    Dice dice(9);
    co_await bench.fill(life, kObjectBytes);
    const auto before = bench.disk.counts();
    const std::uint64_t put = bench.index_disk.bytes_put();
    const std::uint64_t batches = bench.index_disk.batches_durable();
    for (std::uint64_t i = 0; i < kOverwrites; ++i) {
      co_await bench.overwrite(life, at(i), dice.nonzero_bytes(size));
      co_await must(life.calls().flush());
    }
    const auto after = bench.disk.counts();
    cost = {after.reads - before.reads,         after.writes - before.writes,
            after.flushes - before.flushes,     after.bytes_written - before.bytes_written,
            bench.index_disk.bytes_put() - put, bench.index_disk.batches_durable() - batches};
    co_await expect(life.calls(), bench.bytes);
  });
  bench.cut_power();
  bench.live([&](BlockLife& life) -> Task<> { co_await expect(life.calls(), bench.bytes); });
  return cost;
}

std::uint64_t scattered(std::uint64_t i) { return i * 37 % 256 * kBlockBytes + 512 * (i % 8); }
std::uint64_t unaligned(std::uint64_t i) { return i * 37 % 255 * kBlockBytes + 61 * i + 100; }
std::uint64_t in_a_row(std::uint64_t i) { return 100 + 512 * i; }
std::uint64_t whole(std::uint64_t i) { return i * 37 % 256 * kBlockBytes; }

}  // namespace

TEST_CASE("a small overwrite is durable without the device, and its block is written later with others: counted") {
  // Each 512 bytes in a block of its own, or nearly: what merging saves is requests and flushes.
  for (const auto at : {scattered, unaligned}) {
    const Cost plain = cost_of(0, 512, at);
    const Cost deferred = cost_of(1024, 512, at);
    CHECK(plain.batches == kOverwrites);
    CHECK(plain.flushes == kOverwrites);
    CHECK(plain.writes == kOverwrites);
    CHECK(plain.reads >= kOverwrites);
    CHECK(deferred.batches == kOverwrites);
    CHECK(deferred.flushes <= kOverwrites / 5);
    CHECK(deferred.writes <= kOverwrites / 5);
    CHECK(deferred.device_bytes <= plain.device_bytes);
    CHECK(deferred.index_bytes <= 2 * plain.index_bytes);
  }
  // One behind the other, as a log is written: most of them meet in a block.
  const Cost row = cost_of(1024, 512, in_a_row);
  CHECK(row.flushes <= kOverwrites / 5);
  CHECK(row.device_bytes <= 3 * kOverwrites * 512);  // 9 bytes for each before
  CHECK(row.reads <= kOverwrites / 3);
  // Whole blocks go where they always went.
  const Cost before = cost_of(0, kBlockBytes, whole);
  const Cost after = cost_of(1024, kBlockBytes, whole);
  CHECK(after.writes == before.writes);
  CHECK(after.device_bytes == kOverwrites * kBlockBytes);
  CHECK(after.index_bytes == before.index_bytes);
  CHECK(after.flushes == before.flushes);
}

TEST_CASE("an overwrite that keeps size and number of blocks changes the record of its segment alone") {
  Bench bench;
  bench.live([&](BlockLife& life) -> Task<> {
    co_await bench.fill(life, kObjectBytes);
    const std::uint64_t before = bench.index_disk.bytes_put();
    co_await bench.overwrite(life, 3 * kBlockBytes, std::string(kBlockBytes, 'w'));
    co_await must(life.calls().flush());
    const std::string key = segment_key(kA, 0);
    CHECK(bench.index_disk.bytes_put() - before == key.size() + bench.index_disk.entries().at(key).size());
    // One that makes it longer changes both.
    const std::uint64_t then = bench.index_disk.bytes_put();
    co_await bench.overwrite(life, kObjectBytes, std::string(kBlockBytes, 'w'));
    co_await must(life.calls().flush());
    std::uint64_t both = 0;
    for (const std::string& record : {object_key(kA), segment_key(kA, kObjectBytes / kSegmentBytes)}) {
      both += record.size() + bench.index_disk.entries().at(record).size();
    }
    CHECK(bench.index_disk.bytes_put() - then == both);
    co_await expect(life.calls(), bench.bytes);
  });
  bench.cut_power();
  bench.live([&](BlockLife& life) -> Task<> { co_await expect(life.calls(), bench.bytes); });
}

TEST_CASE("what is deferred is read at once, over borders of blocks and segments, and after a power cut") {
  Bench bench;
  {
    BlockLife life(bench.world, bench.index_disk, bench.disk);
    REQUIRE(life.start().ok());
    life.run([](Bench& own, BlockLife& on) -> Task<> {
      co_await own.fill(on, kSegmentBytes + 9000);
      const auto before = own.disk.counts();
      co_await own.overwrite(on, 100, "first");
      co_await own.overwrite(on, 102, "second");
      co_await own.overwrite(on, kBlockBytes - 3, "border");
      co_await own.overwrite(on, kSegmentBytes - 300, std::string(600, 's'));
      co_await own.overwrite(on, own.bytes.size() - 2, "beyond the end");
      co_await expect(on.calls(), own.bytes);
      co_await must(on.calls().flush());
      CHECK(own.disk.counts().writes == before.writes);
      CHECK(own.disk.counts().flushes == before.flushes);
      co_await must(on.calls().write(kA, 5000, "lost"));
    }(bench, life));
  }
  bench.cut_power();
  CHECK(bench.patched() == 8 + 6 + 600 + 14);
  bench.live([&](BlockLife& life) -> Task<> {
    co_await expect(life.calls(), bench.bytes);
    // Whatever changes these blocks finds the bytes in them.
    co_await bench.overwrite(life, 90, std::string(3000, 'l'));
    co_await must(life.calls().punch(kA, 50, 45));
    bench.bytes.replace(50, 45, 45, '\0');
    co_await must(life.calls().truncate(kA, kSegmentBytes + 100));
    bench.bytes.resize(kSegmentBytes + 100);
    co_await must(life.calls().truncate(kA, kSegmentBytes + 9000));
    bench.bytes.resize(kSegmentBytes + 9000, '\0');
    co_await expect(life.calls(), bench.bytes);
  });
  CHECK(bench.patched() == 3 + 300);  // of "border" in block 1, and before the border of the segments
  bench.live([&](BlockLife& life) -> Task<> {
    co_await expect(life.calls(), bench.bytes);
    co_await must(life.calls().remove(kA));
  });
  CHECK(bench.patched() == 0);
}

TEST_CASE("deferred bytes stay within bounds, and get into their blocks when nothing else happens") {
  Bench bench;
  BlockLife life(bench.world, bench.index_disk, bench.disk);
  REQUIRE(life.start().ok());
  life.run([](Bench& own, BlockLife& on) -> Task<> {
    co_await own.fill(on, 200'000);
    Dice dice(5);
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t size = 1 + dice.below(1024);
      co_await own.overwrite(on, dice.below(200'000 - size), dice.nonzero_bytes(size));
      if (i % 3 == 0) co_await must(on.calls().flush());
      if (own.patched() > kPatchBytesMax) FAIL("too much");
    }
    co_await own.overwrite(on, 10, "last");
    co_await must(on.calls().flush());
    co_await expect(on.calls(), own.bytes);
  }(bench, life));
  CHECK(bench.patched() != 0);
  bench.world.run_for(20 * kSecond);
  CHECK(bench.patched() == 0);
  life.run(expect(life.calls(), bench.bytes));
  const auto idle = bench.disk.counts();
  bench.world.run_for(60 * kSecond);
  CHECK(bench.disk.counts().writes == idle.writes);  // and that was all
  life.stop();
}

TEST_CASE("many segments with deferred bytes are merged after a start, as they change") {
  Bench bench;
  constexpr std::uint64_t kObjects = 300;
  bench.live([&](BlockLife& life) -> Task<> {
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      co_await must(life.calls().write({5, i}, 0, std::string(6000, 'o')));
      co_await must(life.calls().write({5, i}, 4000, "new"));
    }
  });
  CHECK(bench.patched() == 3 * kObjects);
  BlockLife life(bench.world, bench.index_disk, bench.disk);
  REQUIRE(life.start().ok());
  life.run(must(life.calls().write({5, 0}, 0, "begin")));
  bench.world.run_for(60 * kSecond);
  CHECK(bench.patched() == 0);
  life.run([](StoreCalls calls) -> Task<> {
    for (std::uint64_t i = 1; i < kObjects; ++i) {
      std::string found;
      co_await must(calls.read({5, i}, 3998, 7, &found));
      CHECK(found == "oonewoo");
    }
  }(life.calls()));
  life.stop();
}

TEST_CASE("all deferred bytes together stay within bounds, however many objects have some") {
  constexpr std::uint64_t kObjects = 4600;
  Bench bench;
  sim::SimBlockDisk disk(kDeviceBytesMin + (64 << 20));
  BlockLife life(bench.world, bench.index_disk, disk);
  REQUIRE(life.start().ok());
  life.run([](StoreCalls calls) -> Task<> {
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      co_await must(calls.write({6, i}, 0, std::string(4200, 'o')));
      co_await must(calls.write({6, i}, 50, std::string(1000, 'n')));
    }
    co_await must(calls.flush());
  }(life.calls()));
  const std::uint64_t found = bench.patched();
  CHECK(found > 3'500'000);
  CHECK(found < (4 << 20));
  CHECK(kObjects * 1000 > (4 << 20));
  life.stop();
}

TEST_CASE("bytes over a rotten block make nothing of it readable, and a write of all of it heals") {
  Bench bench;
  bench.live([&](BlockLife& life) -> Task<> { co_await bench.fill(life, 20'000); });
  bench.disk.flip_bit(kDataOffset + kBlockBytes + 77, 2);
  bench.live([&](BlockLife& life) -> Task<> {
    StoreCalls calls = life.calls();
    co_await bench.overwrite(life, kBlockBytes + 50, std::string(100, 'x'));
    std::string found;
    Status status = co_await calls.read(kA, kBlockBytes + 50, 10, &found);
    CHECK(status.code == Code::corrupt);
    for (std::uint64_t at = 0; at < 9000; at += 1000) co_await bench.overwrite(life, 8500 + at, std::string(900, 'y'));
    status = co_await calls.read(kA, kBlockBytes, 10, &found);
    CHECK(status.code == Code::corrupt);
    co_await bench.overwrite(life, kBlockBytes, std::string(kBlockBytes, 'h'));
    co_await expect(calls, bench.bytes);
  });
  bench.live([&](BlockLife& life) -> Task<> { co_await expect(life.calls(), bench.bytes); });
}

}  // namespace rideau::block_device
