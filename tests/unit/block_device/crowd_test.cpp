// SPDX-License-Identifier: Apache-2.0
// Goal: however fast changes come and however slow the index is, what of the map is in memory alone is bounded; all of
// them are made in the end, and nothing of it keeps reads or a stop from ending.
#include "backends/block_device/map_records.hpp"
#include "tests/unit/block_device/block_bench.hpp"

#include <algorithm>

namespace rideau::block_device {
namespace {

constexpr std::uint64_t kObjects = 600;
constexpr std::uint64_t kRecordsMax = 40;
constexpr std::uint64_t kRecordsOfObject = 2;

ObjectId object(std::uint64_t number) { return {100 + number, 0}; }

std::uint64_t objects_in(const sim::SimIndexDisk& disk) {
  std::uint64_t count = 0;
  for (const auto& [key, value] : disk.entries()) {
    ObjectId id;
    count += parse_object_key(Bytes(std::string_view(key)), &id) ? 1 : 0;
  }
  return count;
}

}  // namespace

TEST_CASE("changes wait when the index does not keep up with them") {
  sim::SimWorld world{1};
  sim::SimIndexDisk index_disk;
  sim::SimBlockDisk disk{kDeviceBytesMin + (32 << 20)};
  disk.settings.dirty_records_max = kRecordsMax;
  index_disk.set_slowness(100);
  {
    BlockLife life(world, index_disk, disk);
    REQUIRE(life.start().ok());
    std::uint64_t made = 0;
    std::uint64_t ahead = 0;  // the most objects of which the index had no record
    std::vector<Task<>> writes;
    for (std::uint64_t number = 0; number < kObjects; ++number) {
      writes.push_back([](StoreCalls calls, std::uint64_t which, const sim::SimIndexDisk& index, std::uint64_t& done,
                          std::uint64_t& most) -> Task<> {
        const Status written = co_await calls.write(object(which), 0, std::string(2 * kBlockBytes, 'x'));
        CHECK(written.ok());
        ++done;
        most = std::max(most, done - objects_in(index));
      }(life.calls(), number, index_disk, made, ahead));
    }
    life.run_together(std::move(writes));
    CHECK(made == kObjects);
    // What waits for the next commit, as much of one that is under way, and the calls that had begun.
    const std::uint64_t begun = disk.settings.queue_depth * kRecordsOfObject;
    CHECK(ahead * kRecordsOfObject <= 2 * (kRecordsMax + kRecordsOfObject + begun));
    CHECK(ahead * kRecordsOfObject > kRecordsMax);
    life.stop();
  }
  CHECK(objects_in(index_disk) == kObjects);
}

TEST_CASE("a stop ends changes that wait for the index") {
  sim::SimWorld world{1};
  sim::SimIndexDisk index_disk;
  sim::SimBlockDisk disk{kDeviceBytesMin + (32 << 20)};
  disk.settings.dirty_records_max = kRecordsMax;
  BlockLife life(world, index_disk, disk);
  REQUIRE(life.start().ok());
  index_disk.set_slowness(100'000);
  std::uint64_t made = 0;
  std::uint64_t closed = 0;
  TaskGroup tasks(life.runtime());
  for (std::uint64_t number = 0; number < kObjects; ++number) {
    tasks.spawn([](StoreCalls calls, std::uint64_t which, std::uint64_t& done, std::uint64_t& ended) -> Task<> {
      const Status written = co_await calls.write(object(which), 0, std::string(2 * kBlockBytes, 'x'));
      ++(written.ok() ? done : ended);
    }(life.calls(), number, made, closed));
  }
  REQUIRE(world.run_until([&] { return made > kRecordsMax; }, world.now_ns() + 600 * kSecond) ==
          sim::SimWorld::End::done);
  index_disk.set_slowness(1);
  life.stop();
  CHECK(made + closed == kObjects);
  CHECK(closed > 0);
  CHECK(objects_in(index_disk) == made);
}

}  // namespace rideau::block_device
