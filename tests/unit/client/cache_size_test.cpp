// SPDX-License-Identifier: Apache-2.0
// Goal: the cache of file data has a share of the memory, gives way to others, comes back, and keeps nothing for long
// that nobody uses.
#include "plugins/client/cache_size.hpp"
#include "framework/base/watched_memory.hpp"
#include "tests/unit/client/data_bench.hpp"

namespace rideau::client {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kGiB = 1 << 30;

struct Gauge final : MemoryGauge {
  MemoryFigures figures{16 * kGiB, 8 * kGiB};
  MemoryFigures read() noexcept override { return figures; }
};

struct Bench {
  explicit Bench(std::uint64_t bytes_max)
      : world(1), node(world, "client"), cache(bytes_max, nullptr, [](std::uint64_t) {}), map(cache, 1) {}

  // As much clean data as that, in blocks of the file from the first on.
  void fill(std::uint64_t bytes) {
    for (std::uint64_t index = 0; index < bytes / kBlockBytes; ++index) {
      Block& block = map.pin(index);
      if (block.buffer == nullptr) block.buffer = cache.make_buffer(0, kBlockBytes);
      block.valid.add(0, kBlockBytes);
      map.unpin(index, block);
    }
    cache.make_room();
    size.used();
  }
  void wait(std::uint64_t ns) {
    const std::uint64_t until = world.now_ns() + ns;
    static_cast<void>(world.run_until([&] { return false; }, until));
  }

  sim::SimWorld world;
  sim::SimRuntime node;
  Gauge gauge;
  DataCache cache;
  BlockMap map;
  CacheSize size{node, cache, &gauge, 64 * kMiB};
};

}  // namespace

TEST_CASE("the default is an eighth of the memory") {
  CHECK(default_cache_bytes({24 * kGiB, 0}) == 3 * kGiB);
  CHECK(default_cache_bytes({1 * kGiB, 0}) == 256 * kMiB);    // an eighth would be little
  CHECK(default_cache_bytes({512 * kMiB, 0}) == 128 * kMiB);  // but never more than a quarter
  CHECK(default_cache_bytes({}) == 256 * kMiB);
}

TEST_CASE("the cache gives way while others need memory, and comes back") {
  Bench bench(512 * kMiB);
  bench.fill(512 * kMiB);
  CHECK(bench.cache.bytes() == 512 * kMiB);
  bench.wait(5 * kSecond);
  CHECK(bench.cache.bytes() == 512 * kMiB);
  // A sixteenth of the memory is to stay available; 100 MiB of it are missing. What the cache gives is available then.
  bench.gauge.figures.available = kGiB - 100 * kMiB;
  bench.wait(1100 * kMillisecond);
  bench.gauge.figures.available = kGiB;
  bench.wait(900 * kMillisecond);
  CHECK(bench.cache.bytes_max() == 412 * kMiB);
  CHECK(bench.cache.bytes() <= 412 * kMiB);
  CHECK(bench.cache.memory() <= 412 * kMiB);
  // Neither short nor plenty: it stays.
  bench.wait(20 * kSecond);
  CHECK(bench.cache.bytes_max() == 412 * kMiB);
  // Whatever others need, a little is left.
  bench.gauge.figures.available = 0;
  bench.wait(5 * kSecond);
  CHECK(bench.cache.bytes_max() == 64 * kMiB);
  CHECK(bench.cache.memory() <= 64 * kMiB);
  bench.fill(512 * kMiB);
  CHECK(bench.cache.bytes() <= 64 * kMiB);
  bench.gauge.figures.available = 8 * kGiB;
  bench.fill(512 * kMiB);
  bench.wait(3 * kSecond);
  CHECK(bench.cache.bytes_max() == 512 * kMiB);
}

TEST_CASE("bytes that must still be written are not given up") {
  Bench bench(256 * kMiB);
  bench.fill(256 * kMiB);
  std::vector<std::uint64_t> kept;
  for (std::uint64_t index = 0; index < 128 * kMiB / kBlockBytes; ++index) {
    Block& block = bench.map.pin(index);
    block.dirty.add(0, kBlockBytes);
    bench.map.unpin(index, block);
  }
  bench.gauge.figures.available = 0;
  bench.wait(5 * kSecond);
  CHECK(bench.cache.bytes() == 128 * kMiB);
}

TEST_CASE("memory that nobody used for a while goes back to the system") {
  if (kMemoryIsWatched) return;  // then no memory is kept for the next time
  Bench bench(512 * kMiB);
  bench.fill(512 * kMiB);
  bench.map.drop_clean();
  CHECK(bench.cache.bytes() == 0);
  CHECK(bench.cache.memory() == 512 * kMiB);
  // What comes next may have it without the first touch.
  bench.wait(30 * kSecond);
  CHECK(bench.cache.memory() == 512 * kMiB);
  bench.wait(120 * kSecond);
  CHECK(bench.cache.memory() == 0);
  // Nobody is woken for a cache that is empty.
  CHECK(bench.world.run_until([] { return false; }, bench.world.now_ns() + kSecond) == sim::SimWorld::End::stuck);
}

}  // namespace rideau::client
