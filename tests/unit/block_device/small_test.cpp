// SPDX-License-Identifier: Apache-2.0
// Goal: a small object costs the device nothing, is moved out when it grows and only then, keeps its space on the
// device, and is an error when its record is damaged; devices of the format before are read, and become of the new one.
#include "backends/block_device/map_records.hpp"
#include "sdk/testkit/dice.hpp"
#include "tests/unit/block_device/block_bench.hpp"

#include <functional>

namespace rideau::block_device {
namespace {

constexpr ObjectId kA{1, 0};
constexpr std::uint64_t kDiskBytes = kDeviceBytesMin + (8 << 20);

struct Bench {
  sim::SimWorld world{1};
  sim::SimIndexDisk index_disk;
  sim::SimBlockDisk disk{kDiskBytes};

  // Starts the store, does this, and stops it.
  void live(const std::function<Task<>(BlockLife&)>& work) {
    BlockLife life(world, index_disk, disk);
    REQUIRE(life.start().ok());
    life.run(work(life));
    life.stop();
  }
  std::uint64_t small_records() const {
    std::uint64_t count = 0;
    for (const auto& [key, value] : index_disk.entries()) {
      ObjectId id;
      if (parse_object_key(Bytes(std::string_view(key)), &id)) {
        count += small_bytes_of(Bytes(std::string_view(value))) != 0 ? 1 : 0;
      }
    }
    return count;
  }
  std::uint32_t format() const {
    std::uint32_t newest = 0;
    for (const std::uint64_t offset : kSuperblockOffsets) {
      std::string image(kBlockBytes, '\0');
      disk.read(offset, reinterpret_cast<std::uint8_t*>(image.data()), image.size());
      Superblock superblock;
      REQUIRE(decode_superblock(Bytes(std::string_view(image)).data, &superblock).ok());
      newest = std::max(newest, superblock.version);
    }
    return newest;
  }
};

Task<> must(Task<Status> call) {
  const Status status = co_await std::move(call);
  CHECK(status.ok());
}

Task<> expect(StoreCalls calls, ObjectId id, std::string bytes) {
  std::string found;
  ObjectStat stat;
  co_await must(calls.stat(id, &stat));
  CHECK(stat.size == bytes.size());
  co_await must(calls.read(id, 0, bytes.size(), &found));
  CHECK(found == bytes);
}

}  // namespace

TEST_CASE("an object of 4 KiB is durable without a write and a flush of the device, and read without it") {
  Bench bench;
  Dice dice(1);
  const std::string bytes = dice.nonzero_bytes(4096);
  bench.live([&](BlockLife& life) -> Task<> {
    const auto before = bench.disk.counts();
    for (std::uint64_t i = 0; i < 20; ++i) {
      const std::uint64_t batches = bench.index_disk.batches_durable();
      co_await must(life.calls().write({7, i}, 0, bytes));
      co_await must(life.calls().flush());
      CHECK(bench.index_disk.batches_durable() == batches + 1);
      co_await expect(life.calls(), {7, i}, bytes);
    }
    CHECK(bench.disk.counts().writes == before.writes);
    CHECK(bench.disk.counts().flushes == before.flushes);
    co_await must(life.calls().write(kA, 0, bytes + "1"));  // one byte more, and it has blocks
    co_await must(life.calls().flush());
    CHECK(bench.disk.counts().writes == before.writes + 1);
    CHECK(bench.disk.counts().flushes == before.flushes + 1);
  });
  CHECK(bench.small_records() == 20);
  bench.index_disk.power_cut(1);
  bench.disk.power_cut([](std::size_t) { return false; });
  bench.live([&](BlockLife& life) -> Task<> {
    const auto before = bench.disk.counts();
    for (std::uint64_t i = 0; i < 20; ++i) co_await expect(life.calls(), {7, i}, bytes);
    CHECK(bench.disk.counts().reads == before.reads);
    co_await expect(life.calls(), kA, bytes + "1");
  });
}

TEST_CASE("what grows is moved out as it was, and comes back only from nothing") {
  for (const bool flushed : {false, true}) {
    Bench bench;
    Dice dice(2);
    std::string bytes = dice.nonzero_bytes(3000);
    bench.live([&](BlockLife& life) -> Task<> {
      StoreCalls calls = life.calls();
      co_await must(calls.write(kA, 0, bytes));
      if (flushed) co_await must(calls.flush());
      const std::string far = dice.nonzero_bytes(5000);
      co_await must(calls.write(kA, 20'000, far));
      bytes.resize(20'000, '\0');
      bytes += far;
      co_await expect(calls, kA, bytes);
      co_await must(calls.flush());
      ObjectStat stat;
      co_await must(calls.stat(kA, &stat));
      CHECK(stat.bytes_used == 4 * kBlockBytes);
      co_await must(calls.truncate(kA, 1000));
      co_await must(calls.write(kA, 500, "again"));
      bytes.resize(1000);
      bytes.replace(500, 5, "again");
      co_await must(calls.flush());
    });
    CHECK(bench.small_records() == 0);
    bench.live([&](BlockLife& life) -> Task<> {
      co_await expect(life.calls(), kA, bytes);
      co_await must(life.calls().truncate(kA, 0));
      co_await must(life.calls().write(kA, 10, "small"));
      co_await must(life.calls().truncate(kA, 1 << 20));  // a size is no bytes
    });
    CHECK(bench.small_records() == 1);
    bench.live([&](BlockLife& life) -> Task<> {
      co_await expect(life.calls(), kA, std::string(10, '\0') + "small" + std::string((1 << 20) - 15, '\0'));
      ObjectExtent data;
      const Outcome found =
          co_await submit([&](Completion& done) { return life.store().find_data(kA, 3, &data, done); });
      CHECK(found.ok());
      CHECK((data.begin == 3 && data.end == kBlockBytes));
    });
  }
}

TEST_CASE("calls that come while an object is moved out wait for it and find all of it") {
  for (const bool flushed : {false, true}) {
    Bench bench;
    Dice dice(4);
    std::string bytes = dice.nonzero_bytes(3000);
    const std::string near = dice.nonzero_bytes(500);
    const std::string far = dice.nonzero_bytes(6000);
    BlockLife life(bench.world, bench.index_disk, bench.disk);
    REQUIRE(life.start().ok());
    StoreCalls calls = life.calls();
    life.run(must(calls.write(kA, 0, bytes)));
    if (flushed) life.run(must(calls.flush()));
    std::string seen;
    std::vector<Task<>> together;
    together.push_back(must(calls.write(kA, 100'000, far)));  // none of these touch blocks of another
    together.push_back(must(calls.write(kA, 200, near)));
    together.push_back(must(calls.punch(kA, 50'000, 4096)));
    together.push_back(must(calls.read(kA, 100, 1000, &seen)));
    together.push_back(must(calls.write(kA, 20'000, near)));
    life.run_together(std::move(together));
    bytes.replace(200, 500, near);
    CHECK(seen == bytes.substr(100, 1000));
    bytes.resize(20'000, '\0');
    bytes += near;
    bytes.resize(100'000, '\0');
    bytes += far;
    life.run(expect(calls, kA, bytes));
    // One after the other until there is nothing.
    together.clear();
    together.push_back(must(calls.truncate(kA, 0)));
    together.push_back(must(calls.write(kA, 8192, near)));  // not small any more when the next one comes
    together.push_back(must(calls.write(kA, 10, near)));
    life.run_together(std::move(together));
    bytes = std::string(10, '\0') + near;
    bytes.resize(8192, '\0');
    life.run(expect(calls, kA, bytes + near));
    life.stop();
  }
}

TEST_CASE("a damaged record of a small object is EIO with a word, and can be removed or cut to nothing") {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    Bench bench;
    const std::string bytes(2000, 'r');
    bench.live([&](BlockLife& life) -> Task<> { co_await must(life.calls().write(kA, 0, bytes)); });
    REQUIRE(bench.index_disk.flip_bit(seed));
    BlockLife life(bench.world, bench.index_disk, bench.disk);
    if (!life.start().ok()) continue;  // the other record: which device it is
    life.run([](BlockLife& own, std::uint64_t which) -> Task<> {
      StoreCalls calls = own.calls();
      std::string found;
      Status status = co_await calls.read(kA, 0, 2000, &found);
      CHECK(status.code == Code::corrupt);
      status = co_await calls.write(kA, 5, "part");
      CHECK(status.code == Code::corrupt);
      ObjectStat stat;
      status = co_await calls.stat(kA, &stat);
      CHECK(status.code == Code::corrupt);
      if (which % 2 == 0) co_await must(calls.remove(kA));
      if (which % 2 == 1) co_await must(calls.truncate(kA, 0));
      co_await must(calls.write(kA, 1, "new"));
      co_await must(calls.flush());
      co_await expect(calls, kA, std::string(1, '\0') + "new");
      ObjectSpace space;
      CHECK(own.store().space(&space).ok());
      CHECK(space.bytes_total - space.bytes_free == kBlockBytes);
      CHECK(space.object_count == 1);
    }(life, seed));
    std::string said;
    for (const std::string& line : life.log.lines()) said += line;
    CHECK(said.find("its record in the index is damaged") != std::string::npos);
    life.stop();
  }
}

TEST_CASE("a device of the format before is read, and of the new one as soon as objects may be small") {
  Bench bench;
  Dice dice(3);
  const std::string bytes = dice.nonzero_bytes(3000);
  bench.disk.settings.small_object_max = 0;
  bench.disk.settings.deferred_write_max = 0;
  bench.live([&](BlockLife& life) -> Task<> { co_await must(life.calls().write(kA, 0, bytes)); });
  CHECK(bench.format() == kFormatPlain);
  CHECK(bench.small_records() == 0);
  bench.disk.settings.small_object_max = kSmallBytesMax;
  bench.live([&](BlockLife& life) -> Task<> {
    CHECK(bench.format() == kFormatVersion);  // before anything is written
    co_await expect(life.calls(), kA, bytes);
    co_await must(life.calls().write({1, 1}, 0, bytes));
  });
  CHECK(bench.small_records() == 1);
  // Off again: what is small is read as ever, and goes to blocks with its next bytes.
  bench.disk.settings.small_object_max = 0;
  bench.live([&](BlockLife& life) -> Task<> {
    co_await expect(life.calls(), {1, 1}, bytes);
    co_await must(life.calls().write({1, 1}, 100, "changed"));
  });
  CHECK(bench.small_records() == 0);
  CHECK(bench.format() == kFormatVersion);
  bench.live([&](BlockLife& life) -> Task<> {
    co_await expect(life.calls(), {1, 1}, bytes.substr(0, 100) + "changed" + bytes.substr(107));
  });
}

TEST_CASE("a device that small objects fill has room for each of them to be moved out") {
  Bench bench;
  std::uint64_t made = 0;
  const std::string bytes(4000, 'f');
  bench.live([&](BlockLife& life) -> Task<> {
    StoreCalls calls = life.calls();
    Status status{};
    while (status.ok()) {
      status = co_await calls.write({3, made}, 0, bytes);
      if (status.ok()) ++made;
    }
    CHECK(status.code == Code::no_space);
    ObjectSpace space;
    CHECK(life.store().space(&space).ok());
    CHECK(space.bytes_free == 0);
    CHECK(space.bytes_total == made * kBlockBytes);
  });
  bench.live([&](BlockLife& life) -> Task<> {
    StoreCalls calls = life.calls();
    const Status full = co_await calls.write(kA, 0, "x");
    CHECK(full.code == Code::no_space);
    for (std::uint64_t i = 0; i < made; ++i) co_await must(calls.allocate({3, i}, 0, 4096));
    co_await must(calls.flush());
    for (std::uint64_t i = 0; i < made; i += 100) co_await expect(calls, {3, i}, bytes);
    co_await must(calls.remove({3, 0}));
    co_await must(calls.write(kA, 0, "x"));
  });
  CHECK(bench.small_records() == 1);
}

TEST_CASE("the last quarter of the index is for the map: bytes go to blocks then") {
  Bench bench;
  bench.index_disk.set_bytes_total(1 << 20);
  const std::string bytes(4000, 'i');
  bench.live([&](BlockLife& life) -> Task<> {
    for (std::uint64_t i = 0; i < 400; ++i) {
      co_await must(life.calls().write({4, i}, 0, bytes));
      co_await must(life.calls().flush());
    }
    for (std::uint64_t i = 0; i < 400; i += 7) co_await expect(life.calls(), {4, i}, bytes);
  });
  CHECK(bench.small_records() > 100);
  CHECK(bench.small_records() < 200);
}

}  // namespace rideau::block_device
