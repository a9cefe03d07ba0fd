// SPDX-License-Identifier: Apache-2.0
// Goal: flipped bits in data, in records of the map and in superblocks are errors and never wrong bytes; devices and
// indexes that do not belong together are refused; failing flushes and writes are told; a full device recovers.
#include "sdk/testkit/dice.hpp"
#include "backends/block_device/map_records.hpp"
#include "tests/unit/block_device/block_bench.hpp"

#include <algorithm>
#include <map>

namespace rideau::block_device {
namespace {

constexpr ObjectId kA{1, 0};
constexpr ObjectId kB{1, 1};
constexpr std::uint64_t kDiskBytes = kDeviceBytesMin + (8 << 20);

struct Bench {
  sim::SimWorld world{1};
  sim::SimIndexDisk index_disk;
  sim::SimBlockDisk disk{kDiskBytes};

  std::unique_ptr<BlockLife> live() { return std::make_unique<BlockLife>(world, index_disk, disk); }
  // One object, durable, and the store stopped.
  void fill(const std::string& bytes) {
    const auto life = live();
    REQUIRE(life->start().ok());
    life->run([](StoreCalls calls, std::string all) -> Task<> {
      const Status written = co_await calls.write(kA, 0, all);
      CHECK(written.ok());
      const Status flushed = co_await calls.flush();
      CHECK(flushed.ok());
    }(life->calls(), bytes));
    life->stop();
  }
  // Of a start; its last words.
  Status try_start(std::string* said) {
    const auto life = live();
    const Status status = life->start();
    said->clear();
    for (const std::string& line : life->log.lines()) *said += line + "\n";
    if (status.ok()) life->stop();
    return status;
  }
};

Task<> read_whole(StoreCalls calls, std::uint64_t size, Status& status, std::string& bytes) {
  status = co_await calls.read(kA, 0, size, &bytes);
}

}  // namespace

TEST_CASE("a flipped bit of data is EIO with a word, for reads and for writes of a part of its block") {
  Dice dice(1);
  const std::string bytes = dice.nonzero_bytes(20'000);
  for (std::uint64_t bit = 0; bit < 8; ++bit) {
    Bench bench;
    bench.disk.settings.deferred_write_max = 0;
    bench.fill(bytes);
    // The first object's blocks are the first of the device.
    bench.disk.flip_bit(kDataOffset + kBlockBytes + 100 * bit, static_cast<std::uint8_t>(bit));
    const auto life = bench.live();
    REQUIRE(life->start().ok());
    Status status;
    std::string found;
    life->run(read_whole(life->calls(), bytes.size(), status, found));
    CHECK(status.code == Code::corrupt);
    life->run([](StoreCalls calls, const std::string& all) -> Task<> {
      std::string piece;
      Status done = co_await calls.read(kA, 0, kBlockBytes, &piece);
      CHECK((done.ok() && piece == all.substr(0, kBlockBytes)));
      done = co_await calls.write(kA, kBlockBytes + 10, std::string("part"));
      CHECK(done.code == Code::corrupt);
      done = co_await calls.write(kA, kBlockBytes, std::string(kBlockBytes, 'n'));
      CHECK(done.ok());
      done = co_await calls.read(kA, kBlockBytes, kBlockBytes, &piece);
      CHECK((done.ok() && piece == std::string(kBlockBytes, 'n')));
    }(life->calls(), bytes));
    std::string said;
    for (const std::string& line : life->log.lines()) said += line;
    CHECK(said.find("wrong checksum") != std::string::npos);
    life->stop();
  }
}

TEST_CASE("a flipped bit anywhere in the map is EIO or a refusal, never other bytes") {
  Dice dice(2);
  const std::string bytes = dice.nonzero_bytes(9'000);
  std::size_t refused = 0;
  std::size_t failed = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Bench bench;
    bench.fill(bytes);
    REQUIRE(bench.index_disk.flip_bit(seed));
    const auto life = bench.live();
    if (!life->start().ok()) {
      ++refused;
      continue;
    }
    Status status;
    std::string found;
    life->run(read_whole(life->calls(), bytes.size(), status, found));
    if (status.ok()) FAIL_CHECK("seed " << seed << ": the map is damaged and the object is read");
    CHECK(status.code == Code::corrupt);
    ++failed;
    life->stop();
  }
  CHECK(refused > 0);  // the record of the device
  CHECK(failed > 0);
}

TEST_CASE("superblocks: one damaged copy is enough, two are refused") {
  const std::string bytes(5'000, 's');
  std::string said;
  for (const std::uint64_t offset : kSuperblockOffsets) {
    Bench bench;
    bench.fill(bytes);
    bench.disk.flip_bit(offset + 20, 3);
    CHECK(bench.try_start(&said).ok());
  }
  Bench bench;
  bench.fill(bytes);
  for (const std::uint64_t offset : kSuperblockOffsets) bench.disk.flip_bit(offset + 20, 3);
  CHECK(bench.try_start(&said).code == Code::corrupt);
  CHECK(said.find("superblock are damaged") != std::string::npos);
  for (const std::uint64_t offset : kSuperblockOffsets) bench.disk.erase(offset, kBlockBytes);
  CHECK(bench.try_start(&said).code == Code::refused);
  CHECK(said.find("rideau format") != std::string::npos);
}

TEST_CASE("a device and an index that do not belong together are refused") {
  Bench bench;
  bench.fill("bytes");
  std::string said;
  SECTION("another device") {
    sim::SimBlockDisk other(kDiskBytes, 0x77);
    BlockLife life(bench.world, bench.index_disk, other);
    CHECK(life.start().code == Code::refused);
    for (const std::string& line : life.log.lines()) said += line;
    CHECK(said.find("77777777-7777") != std::string::npos);
  }
  SECTION("an empty index") {
    sim::SimIndexDisk other;
    BlockLife life(bench.world, other, bench.disk);
    CHECK(life.start().code == Code::refused);
    for (const std::string& line : life.log.lines()) said += line;
    CHECK(said.find("this index is empty") != std::string::npos);
  }
  SECTION("a device that has shrunk") {
    bench.disk.set_bytes(kDeviceBytesMin);
    CHECK(bench.try_start(&said).code == Code::corrupt);
  }
  // None of that changed anything.
  bench.disk.set_bytes(kDiskBytes);
  CHECK(bench.try_start(&said).ok());
}

TEST_CASE("a failed write is told and loses no space; a failed flush stays told until the next start") {
  Bench bench;
  bench.fill(std::string(5'000, 'o'));
  {
    const auto life = bench.live();
    REQUIRE(life->start().ok());
    ObjectSpace before;
    ObjectSpace between;
    REQUIRE(life->store().space(&before).ok());
    bench.disk.fails_writes = true;
    life->run([](StoreCalls calls) -> Task<> {
      const Status status = co_await calls.write(kA, 100, std::string(9'000, 'n'));
      CHECK(status.code == Code::io_error);
    }(life->calls()));
    REQUIRE(life->store().space(&between).ok());
    CHECK(between.bytes_free == before.bytes_free);
    bench.disk.fails_writes = false;
    bench.disk.fails_flushes = true;
    life->run([](StoreCalls calls) -> Task<> {
      Status status = co_await calls.write(kB, 0, std::string(9'000, 'n'));
      CHECK(status.ok());
      status = co_await calls.flush();
      CHECK(status.code == Code::io_error);
    }(life->calls()));
    bench.disk.fails_flushes = false;
    life->run([](StoreCalls calls) -> Task<> {
      const Status status = co_await calls.flush();
      CHECK(status.code == Code::io_error);
    }(life->calls()));
  }
  const auto life = bench.live();
  REQUIRE(life->start().ok());
  Status status;
  std::string found;
  life->run(read_whole(life->calls(), 5'000, status, found));
  CHECK((status.ok() && found == std::string(5'000, 'o')));
  life->stop();
}

TEST_CASE("an index that is full for a while fails flushes, which work again when it has room") {
  Bench bench;
  auto life = bench.live();
  REQUIRE(life->start().ok());
  bench.index_disk.set_full(true);
  life->run([](StoreCalls calls, sim::SimIndexDisk& index) -> Task<> {
    Status status = co_await calls.write(kA, 0, std::string(9'000, 'n'));
    CHECK(status.ok());
    status = co_await calls.flush();
    CHECK(status.code == Code::no_space);
    index.set_full(false);
    status = co_await calls.flush();
    CHECK(status.ok());
  }(life->calls(), bench.index_disk));
  life->stop();
  life.reset();
  bench.disk.power_cut([](std::size_t) { return false; });
  const auto again = bench.live();
  REQUIRE(again->start().ok());
  Status status;
  std::string found;
  again->run(read_whole(again->calls(), 9'000, status, found));
  CHECK((status.ok() && found == std::string(9'000, 'n')));
  again->stop();
}

TEST_CASE("an index that had no room is asked again before a write is refused") {
  Bench bench;
  bench.fill(std::string(5'000, 'o'));
  const auto life = bench.live();
  REQUIRE(life->start().ok());
  bench.index_disk.set_full(true);
  life->run([](StoreCalls calls, sim::SimIndexDisk& index) -> Task<> {
    Status status = co_await calls.remove(kA);  // gives room back, so it is committed all the same
    CHECK(status.ok());
    status = co_await calls.flush();
    CHECK(status.ok());
    status = co_await calls.write(kB, 0, std::string(9'000, 'n'));
    CHECK(status.code == Code::no_space);
    index.set_full(false);
    status = co_await calls.write(kB, 0, std::string(9'000, 'n'));
    CHECK(status.ok());
  }(life->calls(), bench.index_disk));
  life->stop();
}

TEST_CASE("bytes of a write that failed do not come back when the power is cut") {
  Bench bench;
  {
    const auto life = bench.live();
    REQUIRE(life->start().ok());
    bench.disk.fail_next_calls(1);
    life->run([](StoreCalls calls) -> Task<> {
      Status status = co_await calls.write(kA, 0, std::string(5'000, 'f'));
      CHECK(status.code == Code::io_error);
      status = co_await calls.write(kA, 0, std::string(5'000, 'n'));
      CHECK(status.ok());
      status = co_await calls.flush();
      CHECK(status.ok());
    }(life->calls()));
  }
  bench.disk.power_cut([](std::size_t) { return true; });
  const auto life = bench.live();
  REQUIRE(life->start().ok());
  Status status;
  std::string found;
  life->run(read_whole(life->calls(), 5'000, status, found));
  CHECK((status.ok() && found == std::string(5'000, 'n')));
  life->stop();
}

TEST_CASE("what nobody flushes is committed a little later all the same") {
  Bench bench;
  {
    const auto life = bench.live();
    REQUIRE(life->start().ok());
    life->run([](StoreCalls calls) -> Task<> {
      const Status status = co_await calls.write(kA, 0, std::string(9'000, 'n'));
      CHECK(status.ok());
    }(life->calls()));
    bench.world.run_for(10 * kSecond);
  }
  bench.disk.power_cut([](std::size_t) { return false; });
  bench.index_disk.power_cut(1);
  const auto life = bench.live();
  REQUIRE(life->start().ok());
  Status status;
  std::string found;
  life->run(read_whole(life->calls(), 9'000, status, found));
  CHECK((status.ok() && found == std::string(9'000, 'n')));
  life->stop();
}

TEST_CASE("on a full device overwriting goes on, and what is removed is free again and discarded") {
  Bench bench;
  const auto life = bench.live();
  REQUIRE(life->start().ok());
  life->run([](StoreCalls calls, const sim::SimBlockDisk& disk) -> Task<> {
    const std::string piece(1 << 20, 'F');
    std::uint64_t written = 0;
    Status status{};
    while (status.ok()) {
      const ObjectId id{5, written};
      status = co_await calls.write(id, 0, piece);
      if (status.ok()) ++written;
    }
    CHECK(status.code == Code::no_space);
    CHECK(written >= 10);
    status = co_await calls.flush();
    CHECK(status.ok());
    for (int round = 0; round < 20; ++round) {  // many times the reserve
      const ObjectId id{5, static_cast<std::uint64_t>(round) % written};
      status = co_await calls.write(id, 100, piece.substr(0, 900'000));
      CHECK(status.ok());
    }
    const ObjectId gone{5, 0};
    status = co_await calls.remove(gone);
    CHECK(status.ok());
    // Nobody has to flush: a write that needs the space waits for the commit that frees it.
    status = co_await calls.write(kA, 0, piece);
    CHECK(status.ok());
    CHECK(disk.discarded_bytes() > 0);
  }(life->calls(), bench.disk));
  life->stop();
}

TEST_CASE("many writers at once leave long runs, and small files lie side by side") {
  sim::SimWorld world{1};
  sim::SimIndexDisk index_disk;
  sim::SimBlockDisk disk{1ull << 32};
  disk.settings.small_object_max = 0;
  BlockLife life(world, index_disk, disk);
  REQUIRE(life.start().ok());
  life.run([](StoreCalls calls) -> Task<> {
    for (std::uint64_t round = 0; round < 32; ++round) {
      for (std::uint64_t writer = 0; writer < 8; ++writer) {
        const ObjectId id{9, writer};
        const Status status = co_await calls.write(id, round * 65'536, std::string(65'536, 'w'));
        CHECK(status.ok());
      }
    }
    for (std::uint64_t i = 0; i < 100; ++i) {
      const ObjectId small{10, i};
      const Status status = co_await calls.write(small, 0, std::string(3'000, 's'));
      CHECK(status.ok());
    }
    const Status flushed = co_await calls.flush();
    CHECK(flushed.ok());
  }(life.calls()));
  life.stop();
  std::map<ObjectId, std::vector<std::uint64_t>> places;
  for (const auto& [key, value] : index_disk.entries()) {
    ObjectId id;
    std::uint64_t number = 0;
    if (!parse_segment_key(Bytes(std::string_view(key)), &id, &number)) continue;
    std::vector<Block> blocks;
    REQUIRE(read_segment(Bytes(std::string_view(key)), Bytes(std::string_view(value)), &blocks).ok());
    for (const Block& block : blocks) places[id].push_back(block.place);
  }
  std::uint64_t small_first = ~0ull;
  std::uint64_t small_last = 0;
  for (const auto& [id, all] : places) {
    std::size_t runs = 1;
    for (std::size_t i = 1; i < all.size(); ++i) runs += all[i] == all[i - 1] + 1 ? 0 : 1;
    if (id.high == 9) CHECK(all.size() == 512);
    if (id.high == 9) CHECK(runs <= 3);
    if (id.high != 10) continue;
    small_first = std::min(small_first, all.front());
    small_last = std::max(small_last, all.back());
  }
  CHECK(small_last - small_first == 99);
}

}  // namespace rideau::block_device
