// SPDX-License-Identifier: Apache-2.0
// Goal: whatever the order of reads, writes, truncates, flushes and drops, of answers and of evictions, a file reads as
// an array of bytes would, and its objects hold these bytes after a flush. Random, from a seed; over targets that check
// their client (data_fake_target.hpp).
#include "plugins/client/data_striping.hpp"
#include "tests/unit/client/data_bench.hpp"
#include "tests/unit/seed_count.hpp"

namespace rideau::client {
namespace {

struct Model {
  std::vector<std::uint8_t> bytes;
  std::shared_ptr<FileData> data;
  fs::Layout layout;
  fs::InodeId inode = 0;
};

std::vector<std::uint8_t> random_bytes(sim::Random& random, std::uint64_t size) {
  std::vector<std::uint8_t> made(size);
  std::uint64_t word = 0;
  for (std::uint64_t i = 0; i < size; ++i, word >>= 8) {
    if (i % 8 == 0) word = random.next();
    made[i] = static_cast<std::uint8_t>(word);
  }
  return made;
}

std::vector<std::uint8_t> bytes_at_targets(DataBench& bench, const Model& file, bool durable = false) {
  std::vector<std::uint8_t> found(file.bytes.size());
  const Striping striping(file.layout);
  for (std::uint64_t at = 0; at < found.size();) {
    const Segment place = striping.segment_at(at, found.size() - at);
    const FakeTarget& target = *bench.targets[file.layout.targets[place.stripe] - 1];
    const auto& objects = durable ? target.durable : target.objects;
    const auto object = objects.find(fs::object_id(file.inode, file.layout.generation, place.stripe));
    if (object != objects.end() && place.object_offset < object->second.size()) {
      const std::uint64_t size = std::min<std::uint64_t>(place.size, object->second.size() - place.object_offset);
      std::copy_n(object->second.begin() + static_cast<long>(place.object_offset), size,
                  found.begin() + static_cast<long>(at));
    }
    at += place.size;
  }
  return found;
}

// Sizes favour the borders of pages, blocks and stripes.
std::uint64_t random_size(sim::Random& random, std::uint64_t max) {
  const std::uint64_t scale[] = {16, 4096, 64 * 1024, 300 * 1024, max};
  const std::uint64_t limit = std::min(scale[random.below(5)], max);
  std::uint64_t size = random.between(1, limit);
  if (random.chance(30)) size = std::min(max, (size + 4095) / 4096 * 4096);
  return size;
}

Task<> one_step(DataBench& bench, Model& file, sim::Random& random) {
  constexpr std::uint64_t kFileMax = 1200 * 1024;
  const std::uint64_t kind = random.below(100);
  if (kind < 40) {
    std::uint64_t offset = random.chance(40) ? file.bytes.size() : random.below(kFileMax);
    const bool lends = random.chance(50);
    if (lends && random.chance(70)) offset = offset / kBlockBytes * kBlockBytes;
    const std::vector<std::uint8_t> bytes = random_bytes(random, random_size(random, kFileMax));
    Result<std::uint64_t> done = std::uint64_t{0};
    if (lends) {
      Buffers lent;
      done = co_await write_lent(*bench.plane, *file.data, offset, bytes, &lent);
    } else {
      done = co_await write_bytes(*file.data, offset, bytes);
    }
    RIDEAU_HOLDS(done.ok());
    RIDEAU_HOLDS(*done == bytes.size());
    if (file.bytes.size() < offset + bytes.size()) file.bytes.resize(offset + bytes.size());
    std::copy(bytes.begin(), bytes.end(), file.bytes.begin() + static_cast<long>(offset));
  } else if (kind < 75) {
    const std::uint64_t offset = random.below(kFileMax);
    const std::uint64_t size = random_size(random, kFileMax);
    const std::vector<std::uint8_t> got = co_await read_bytes(*file.data, offset, size, file.bytes.size());
    const std::uint64_t begin = std::min<std::uint64_t>(offset, file.bytes.size());
    const std::uint64_t end = std::min<std::uint64_t>(offset + size, file.bytes.size());
    const std::vector<std::uint8_t> expected(file.bytes.begin() + static_cast<long>(begin),
                                             file.bytes.begin() + static_cast<long>(end));
    const auto [differs, want] = std::mismatch(got.begin(), got.end(), expected.begin(), expected.end());
    INFO("read " << offset << "+" << size << " of " << file.bytes.size() << " got " << got.size() << " differs at "
                 << differs - got.begin());
    static_cast<void>(want);
    RIDEAU_HOLDS(got == expected);
  } else if (kind < 85) {
    const std::uint64_t size = random.chance(25) ? 0 : random.below(kFileMax);
    const Status done = co_await file.data->truncate(file.bytes.size(), size);
    RIDEAU_HOLDS(done.ok());
    file.bytes.resize(size);
  } else if (kind < 90) {
    const Status done = co_await file.data->flush();
    RIDEAU_HOLDS(done.ok());
    RIDEAU_HOLDS(!file.data->dirty());
    RIDEAU_HOLDS(bytes_at_targets(bench, file) == file.bytes);
    const Result<FileData::ObjectsStat> stat = co_await file.data->stat_objects();
    RIDEAU_HOLDS(stat.ok());
    RIDEAU_HOLDS(stat->size == file.bytes.size());
  } else if (kind < 94) {
    file.data->drop();
  } else if (kind < 97) {
    const Status done = co_await file.data->sync();
    RIDEAU_HOLDS(done.ok());
    RIDEAU_HOLDS(bytes_at_targets(bench, file, true) == file.bytes);
  } else {
    co_await sleep_for(bench.node, random.below(8 * kSecond));
  }
}

void lose_a_target(DataBench& bench, sim::Random& random) {
  const std::size_t number = random.below(bench.targets.size());
  bench.targets[number]->lose_what_is_not_durable();
  bench.plane->on_new_epoch(static_cast<fs::TargetId>(number + 1), false);
}

constexpr std::uint64_t kPieceMax = 1 << 20;  // of a write, that goes also where there is less room

// Targets lose what was not durable, again and again: no caller notices.
Task<> many_steps_and_restarts(DataBench& bench, std::vector<Model>& files, sim::Random& random, int steps) {
  for (int i = 0; i < steps; ++i) {
    if (random.chance(10)) lose_a_target(bench, random);
    co_await one_step(bench, files[random.below(files.size())], random);
    RIDEAU_HOLDS(bench.plane->figures().unstable_bytes <= std::max(bench.unstable_bytes_max, kPieceMax));
  }
  for (Model& file : files) {
    const Status done = random.chance(50) ? co_await file.data->sync() : co_await file.data->settle();
    RIDEAU_HOLDS(done.ok());
    RIDEAU_HOLDS(file.data->settled());
    RIDEAU_HOLDS(file.data->take_error().ok());
    RIDEAU_HOLDS(bytes_at_targets(bench, file, true) == file.bytes);
    const Result<FileData::ObjectsStat> stat = co_await file.data->stat_objects();
    RIDEAU_HOLDS(stat.ok());
    RIDEAU_HOLDS(stat->size == file.bytes.size());
  }
  RIDEAU_HOLDS(bench.plane->figures().unstable_bytes == 0);
}

Task<> many_steps(DataBench& bench, std::vector<Model>& files, sim::Random& random, int steps) {
  for (int i = 0; i < steps; ++i) co_await one_step(bench, files[random.below(files.size())], random);
  const Status flushed = co_await bench.plane->flush_all();
  RIDEAU_HOLDS(flushed.ok());
  for (Model& file : files) RIDEAU_HOLDS(bytes_at_targets(bench, file) == file.bytes);
  const Status synced = co_await bench.plane->sync_targets();
  RIDEAU_HOLDS(synced.ok());
  bench.plane->drop_all();
  for (Model& file : files) {
    const std::vector<std::uint8_t> got = co_await read_bytes(*file.data, 0, file.bytes.size() + 1, file.bytes.size());
    RIDEAU_HOLDS(got == file.bytes);
    RIDEAU_HOLDS(file.data->take_error().ok());
  }
}

std::uint64_t run_seed(std::uint64_t seed, bool with_restarts = false) {
  sim::Random random(seed);
  DataOptions options;
  const std::uint64_t caches[] = {256 << 10, 1 << 20, 256 << 20};
  options.cache_bytes = caches[random.below(3)];
  options.dirty_bytes_max = std::min<std::uint64_t>(options.cache_bytes / 2, 64 << 20);
  options.unstable_bytes_max = std::max(options.dirty_bytes_max, options.cache_bytes / 4 * 3);
  options.read_ahead_bytes = random.chance(30) ? 0 : 1 << 20;
  DataBench bench(seed, options);
  const std::uint64_t grants[] = {0, 4096, 100'000, ~0ull};
  for (const auto& target : bench.targets) target->grant_max = grants[random.below(4)];
  std::vector<Model> files;
  for (fs::InodeId inode = 1; inode <= 2; ++inode) {
    Model file;
    file.inode = inode;
    file.layout =
        bench.layout(static_cast<std::uint32_t>(random.between(1, 4)), random.chance(50) ? 64 << 10 : 192 << 10);
    file.data = bench.plane->file(inode, file.layout);
    files.push_back(std::move(file));
  }
  if (with_restarts) {
    bench.run(many_steps_and_restarts(bench, files, random, 60));
  } else {
    bench.run(many_steps(bench, files, random, 60));
  }
  return bench.world.hash();
}

// A file of several writers at once, each in its own pages; readers look at what was written already.
Task<> page_writer(DataBench& bench, FileData& file, std::uint64_t own, std::uint64_t count, sim::Random random,
                   bool targets_restart = false) {
  constexpr std::uint64_t kPage = 5000;
  constexpr std::uint64_t kPages = 40;
  std::vector<std::uint8_t> value(kPages, 0);
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t page = random.below(kPages);
    const std::uint64_t at = (page * count + own) * kPage;
    if (random.chance(50)) {
      value[page] = static_cast<std::uint8_t>(random.between(1, 255));
      const std::vector<std::uint8_t> bytes(kPage, value[page]);
      const Result<std::uint64_t> done = co_await write_bytes(file, at, bytes);
      RIDEAU_HOLDS(done.ok());
      RIDEAU_HOLDS(*done == kPage);
    } else if (random.chance(80)) {
      const std::vector<std::uint8_t> expected(kPage, value[page]);
      const std::vector<std::uint8_t> got = co_await read_bytes(file, at, kPage, kPages * count * kPage);
      RIDEAU_HOLDS(got == expected);
    } else if (random.chance(50)) {
      const Status done = co_await file.flush();
      RIDEAU_HOLDS(done.ok());
    } else if (targets_restart) {
      lose_a_target(bench, random);
    } else {
      // Grows the objects, and waits for everybody inside; the bytes stay.
      const Status done =
          co_await file.truncate(kPages * count * kPage, kPages * count * kPage + random.below(100'000));
      RIDEAU_HOLDS(done.ok());
    }
    if (random.chance(20)) co_await sleep_for(bench.node, random.below(3 * kMillisecond));
  }
}

}  // namespace

TEST_CASE("a file reads as an array of bytes, and its objects hold it") {
  for (std::uint64_t seed = 1; seed <= test::seed_count(150); ++seed) {
    INFO("seed " << seed);
    run_seed(seed);
  }
}

TEST_CASE("what a target lost is done again, bytes and cuts, whatever the cache has room for") {
  for (std::uint64_t seed = 1; seed <= test::seed_count(300); ++seed) {
    INFO("seed " << seed);
    run_seed(seed, true);
  }
}

TEST_CASE("writers and readers of one file while targets lose what is not durable: nothing is lost") {
  for (std::uint64_t seed = 1; seed <= test::seed_count(150); ++seed) {
    INFO("seed " << seed);
    sim::Random random(seed);
    DataBench bench(seed);
    const std::uint64_t grants[] = {0, 20'000, ~0ull};
    for (const auto& target : bench.targets) target->grant_max = grants[random.below(3)];
    const std::shared_ptr<FileData> file = bench.plane->file(7, bench.layout(3));
    int running = 0;
    for (std::uint64_t own = 0; own < 6; ++own) {
      bench.spawn(page_writer(bench, *file, own, 6, random.fork(), true), running);
    }
    bench.run_all(running);
    CHECK(file->take_error().ok());
  }
}

TEST_CASE("the same seed is the same run") {
  for (std::uint64_t seed = 1000; seed < 1005; ++seed) REQUIRE(run_seed(seed) == run_seed(seed));
}

TEST_CASE("writers, readers, flushes and truncates of one file at once") {
  for (std::uint64_t seed = 1; seed <= test::seed_count(60); ++seed) {
    INFO("seed " << seed);
    sim::Random random(seed);
    DataOptions options;
    options.cache_bytes = random.chance(50) ? 512 << 10 : 64 << 20;
    options.dirty_bytes_max = options.cache_bytes / 2;
    DataBench bench(seed, options);
    const std::uint64_t grants[] = {0, 20'000, ~0ull};
    for (const auto& target : bench.targets) target->grant_max = grants[random.below(3)];
    const std::shared_ptr<FileData> file = bench.plane->file(7, bench.layout(3));
    int running = 0;
    for (std::uint64_t own = 0; own < 6; ++own) bench.spawn(page_writer(bench, *file, own, 6, random.fork()), running);
    bench.run_all(running);
  }
}

}  // namespace rideau::client
