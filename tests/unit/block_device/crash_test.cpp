// SPDX-License-Identifier: Apache-2.0
// Goal: wherever a short history is cut, and whichever of its unflushed sectors survive, the store starts again, what
// was flushed is there byte for byte, everything else is old or new in whole blocks, and no block is lost.
#include "backends/block_device/map_records.hpp"
#include "sdk/testkit/dice.hpp"
#include "tests/unit/block_device/block_bench.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace rideau::block_device {
namespace {

constexpr std::uint64_t kDiskBytes = kDeviceBytesMin + (2 << 20);

struct ObjectState {
  bool exists = false;
  std::string bytes;
};

// What each object may be after a crash: all that it was since the beginning of the last flush that ended.
class Expectation {
 public:
  ObjectState now(ObjectId id) { return states(id).back(); }
  void may_become(ObjectId id, ObjectState next) { states(id).push_back(std::move(next)); }
  void flush_begins() {
    for (auto& [id, all] : states_) flushed_[id] = all.size() - 1;
  }
  void flush_ended() {
    for (const auto& [id, first] : flushed_) {
      auto& all = states_[id];
      all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(first));
    }
  }
  const std::map<ObjectId, std::vector<ObjectState>>& all() const { return states_; }

 private:
  std::vector<ObjectState>& states(ObjectId id) {
    auto& all = states_[id];
    if (all.empty()) all.emplace_back();
    return all;
  }
  std::map<ObjectId, std::vector<ObjectState>> states_;
  std::map<ObjectId, std::size_t> flushed_;
};

struct Step {
  enum class Kind { write, truncate, punch, allocate, remove, flush };
  Kind kind = Kind::flush;
  ObjectId id{};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
using K = Step::Kind;
constexpr ObjectId kA{1, 0};
constexpr ObjectId kB{1, 1};
constexpr ObjectId kC{2, 0};

const std::vector<std::vector<Step>> kHistories = {
    // A new object, overwritten in its middle, then cut.
    {{K::write, kA, 0, 9000},
     {K::flush},
     {K::write, kA, 4000, 300},
     {K::write, kA, 9000, 100},
     {K::flush},
     {K::truncate, kA, 0, 5000},
     {K::flush},
     {K::write, kA, 0, 4096}},
    // Places that were freed are used for another object before the next flush.
    {{K::write, kA, 0, 8192},
     {K::write, kB, 0, 4096},
     {K::flush},
     {K::remove, kB},
     {K::write, kA, 0, 8192},
     {K::flush},
     {K::write, kC, 0, 12'000},
     {K::write, kA, 4096, 10},
     {K::flush},
     {K::remove, kC},
     {K::write, kB, 100, 200}},
    // Holes, kept space, and writes into both.
    {{K::allocate, kA, 0, 16'384},
     {K::write, kA, 5000, 200},
     {K::flush},
     {K::write, kA, 8192, 4096},
     {K::punch, kA, 4096, 4096},
     {K::flush},
     {K::punch, kA, 8000, 1000},
     {K::write, kA, 4100, 50},
     {K::flush}},
    // An object comes back within one flush.
    {{K::write, kA, 0, 5000},
     {K::flush},
     {K::remove, kA},
     {K::truncate, kA, 0, 3000},
     {K::write, kA, 100, 100},
     {K::flush},
     {K::truncate, kA, 0, 900'000},
     {K::write, kA, 800'000, 5000},
     {K::truncate, kA, 0, 100},
     {K::flush}},
    // A small object, changed in its middle, cut, grown to the limit, and moved out.
    {{K::write, kA, 0, 3000},
     {K::flush},
     {K::write, kA, 1000, 200},
     {K::truncate, kA, 0, 1500},
     {K::flush},
     {K::write, kA, 3900, 196},
     {K::punch, kA, 100, 300},
     {K::flush},
     {K::write, kA, 4000, 200},
     {K::flush},
     {K::write, kA, 10, 20},
     {K::flush}},
    // Moved out by a write far behind, emptied, and small again, also within one flush.
    {{K::write, kA, 0, 4096},
     {K::flush},
     {K::write, kA, 200'000, 5000},
     {K::flush},
     {K::truncate, kA, 0, 0},
     {K::write, kA, 0, 100},
     {K::flush},
     {K::write, kA, 70'000, 10},
     {K::truncate, kA, 0, 0},
     {K::write, kA, 50, 100},
     {K::flush},
     {K::remove, kA},
     {K::write, kA, 10, 20}},
    // Small ones beside each other: kept space, a larger size without bytes, removals, and blocks that others had.
    {{K::write, kA, 0, 4000},
     {K::write, kB, 0, 2000},
     {K::flush},
     {K::allocate, kA, 0, 8192},
     {K::truncate, kB, 0, 100'000},
     {K::write, kB, 100, 9000},
     {K::flush},
     {K::remove, kA},
     {K::write, kC, 0, 4096},
     {K::flush},
     {K::write, kC, 4096, 8000},
     {K::truncate, kB, 0, 60},
     {K::write, kA, 0, 30},
     {K::flush},
     {K::remove, kB}},
    // Small writes over parts of blocks, of one and of two; then everything that meets their bytes.
    {{K::write, kA, 0, 9000},
     {K::flush},
     {K::write, kA, 100, 500},
     {K::write, kA, 4000, 300},
     {K::flush},
     {K::write, kA, 50, 600},
     {K::truncate, kA, 0, 4050},
     {K::flush},
     {K::write, kA, 4040, 100},
     {K::punch, kA, 100, 200},
     {K::flush},
     {K::write, kA, 0, 4096},
     {K::write, kA, 10, 20},
     {K::flush},
     {K::truncate, kA, 0, 12'000},
     {K::write, kA, 4096, 30},
     {K::remove, kA},
     {K::write, kA, 0, 5000},
     {K::flush}},
    // So many of them that they are merged into their blocks meanwhile; and those behind come again.
    {{K::write, kA, 0, 20'000},
     {K::write, kB, 0, 5000},
     {K::flush},
     {K::write, kA, 10, 900},
     {K::write, kA, 5000, 900},
     {K::flush},
     {K::write, kA, 9000, 900},
     {K::write, kB, 300, 100},
     {K::flush},
     {K::write, kA, 400, 900},
     {K::write, kA, 13'000, 900},
     {K::flush},
     {K::write, kA, 19'900, 600},
     {K::punch, kA, 4096, 4096},
     {K::flush},
     {K::write, kB, 4900, 500},
     {K::flush}},
};

// Small objects and deferred writes: none, as is usual, as large as can be, the latter alone; and with commits in many
// portions.
StoreSettings settings_with(std::uint64_t small_object_max, std::uint64_t deferred_write_max, bool portions = false) {
  StoreSettings settings{.queue_depth = 4, .map_cache_bytes = 1 << 20};
  settings.small_object_max = small_object_max;
  settings.deferred_write_max = deferred_write_max;
  if (portions) settings.portion_edits = settings.portion_stretch = 1;
  return settings;
}
const std::vector<StoreSettings> kSettings = {
    settings_with(0, 0),
    settings_with(4096, 1024),
    settings_with(kSmallBytesMax, kPatchBytesMax / 2),
    settings_with(0, kPatchBytesMax / 2),
    settings_with(0, 0, true),
    settings_with(4096, 1024, true),
};

ObjectState after(const Step& step, ObjectState state, const std::string& bytes) {
  state.exists = step.kind != K::remove && (state.exists || step.kind != K::punch);
  switch (step.kind) {
    case K::write:
      state.bytes.resize(std::max(state.bytes.size(), step.offset + step.size), '\0');
      state.bytes.replace(step.offset, step.size, bytes);
      break;
    case K::truncate:
      state.bytes.resize(step.size, '\0');
      break;
    case K::punch:
      for (std::uint64_t at = step.offset; at < std::min(state.bytes.size(), step.offset + step.size); ++at) {
        state.bytes[at] = '\0';
      }
      break;
    case K::remove:
      state.bytes.clear();
      break;
    case K::allocate:
    case K::flush:
      break;
  }
  return state;
}

Task<> play(StoreCalls calls, const std::vector<Step>& steps, Expectation& expected) {
  Dice dice(7);
  for (const Step& step : steps) {
    Status status{};
    if (step.kind == K::flush) {
      expected.flush_begins();
      status = co_await calls.flush();
      if (status.ok()) expected.flush_ended();
      CHECK(status.ok());
      continue;
    }
    const std::string bytes = step.kind == K::write ? dice.nonzero_bytes(step.size) : std::string();
    expected.may_become(step.id, after(step, expected.now(step.id), bytes));
    if (step.kind == K::write) status = co_await calls.write(step.id, step.offset, bytes);
    if (step.kind == K::truncate) status = co_await calls.truncate(step.id, step.size);
    if (step.kind == K::punch) status = co_await calls.punch(step.id, step.offset, step.size);
    if (step.kind == K::allocate) status = co_await calls.allocate(step.id, step.offset, step.size);
    if (step.kind == K::remove) status = co_await calls.remove(step.id);
    CHECK(status.ok());
  }
}

std::string block_of(const std::string& bytes, std::uint64_t index) {
  std::string block =
      index * kBlockBytes < bytes.size() ? bytes.substr(index * kBlockBytes, kBlockBytes) : std::string();
  block.resize(kBlockBytes, '\0');
  return block;
}

// Empty when the object is one that it may be.
std::string difference(const std::vector<ObjectState>& allowed, bool exists, const std::string& found) {
  const auto same = [&](const ObjectState& state) { return state.exists == exists; };
  if (std::none_of(allowed.begin(), allowed.end(), same)) return exists ? "is there" : "is gone";
  if (!exists) return {};
  const auto sized = [&](const ObjectState& state) { return state.exists && state.bytes.size() == found.size(); };
  if (std::none_of(allowed.begin(), allowed.end(), sized)) return "has " + std::to_string(found.size()) + " bytes";
  for (std::uint64_t index = 0; index * kBlockBytes < found.size(); ++index) {
    const std::string block = block_of(found, index);
    const std::uint64_t size = std::min(kBlockBytes, found.size() - index * kBlockBytes);
    const auto fits = [&](const ObjectState& state) {
      return block_of(state.bytes, index).compare(0, size, block, 0, size) == 0;
    };
    if (std::none_of(allowed.begin(), allowed.end(), fits)) return "has other bytes in block " + std::to_string(index);
  }
  return {};
}

Task<> verify(StoreCalls calls, const Expectation& expected, std::string& wrong, std::uint64_t& used) {
  for (const auto& [id, allowed] : expected.all()) {
    ObjectStat stat;
    const Status found = co_await calls.stat(id, &stat);
    std::string bytes;
    if (found.ok()) {
      const Status read = co_await calls.read(id, 0, stat.size, &bytes);
      if (!read.ok()) wrong = "object " + std::to_string(id.low) + " cannot be read: " + read.where;
      used += stat.bytes_used;
    } else if (found.code != Code::not_found) {
      wrong = "stat fails";
    }
    const std::string differs = difference(allowed, found.ok(), bytes);
    if (wrong.empty() && !differs.empty()) wrong = "object " + std::to_string(id.low) + " " + differs;
  }
  // The store goes on from here, and what it does now is there after an orderly end.
  const Status written = co_await calls.write(kB, 0, std::string(20'000, 'z'));
  const Status flushed = co_await calls.flush();
  if (!written.ok() || !flushed.ok()) wrong = "no new write after the crash";
}

// A subset of `count` sectors by number: all small sets, then single ones that stay or go, then random ones.
bool stays(std::size_t subset, std::size_t sector, std::size_t count) {
  if (subset == 0) return false;
  if (subset == 1) return true;
  subset -= 2;
  if (count <= 4) return (subset >> sector & 1) != 0;
  if (subset < count) return sector == subset;
  subset -= count;
  if (subset < count) return sector != subset;
  Dice dice((subset + 1) * 1000 + sector);
  return dice.one_in(2);
}
std::size_t subsets_of(std::size_t count) {
  if (count == 0) return 1;
  return count <= 4 ? 2 + (std::size_t{1} << count) : 2 + 2 * std::min<std::size_t>(count, 24) + 8;
}

struct Cut {
  std::size_t sectors = 0;
  bool ended = false;  // the history came to its end before
  std::string wrong;
};

Cut run_cut(const std::vector<Step>& steps, const StoreSettings& settings, std::uint64_t events, std::size_t subset,
            bool forgets_flushes) {
  sim::SimWorld world(1);
  sim::SimIndexDisk index_disk;
  sim::SimBlockDisk disk(kDiskBytes);
  disk.forgets_flushes = forgets_flushes;
  disk.settings = settings;
  Expectation expected;
  Cut cut;
  {
    BlockLife life(world, index_disk, disk);
    REQUIRE(life.start().ok());
    const std::uint64_t until = world.events() + events;
    life.spawn(play(life.calls(), steps, expected));
    world.run_until([&] { return life.ended() || world.events() >= until; }, world.now_ns() + 600 * kSecond);
    cut.ended = life.ended();
  }
  cut.sectors = disk.unflushed_sectors();
  disk.power_cut([&](std::size_t sector) { return stays(subset, sector, cut.sectors); });
  index_disk.power_cut(subset + events);
  auto life = std::make_unique<BlockLife>(world, index_disk, disk);
  const Status started = life->start();
  if (!started.ok()) {
    cut.wrong = "the store does not start";
    return cut;
  }
  ObjectSpace space;
  REQUIRE(life->store().space(&space).ok());
  std::uint64_t used = 0;
  life->run(verify(life->calls(), expected, cut.wrong, used));
  if (cut.wrong.empty() && space.bytes_total - space.bytes_free != used) {
    cut.wrong = std::to_string(space.bytes_total - space.bytes_free) + " bytes are in use, objects have " +
                std::to_string(used);
  }
  life->stop();
  life.reset();
  BlockLife again(world, index_disk, disk);
  if (!again.start().ok()) cut.wrong = "the store does not start after an orderly end";
  return cut;
}

struct Matrix {
  std::size_t cuts = 0;
  std::size_t with_unflushed = 0;
  std::set<std::string> wrong;
};

Matrix run_matrix(const std::vector<Step>& steps, const StoreSettings& settings, bool forgets_flushes) {
  Matrix matrix;
  for (std::uint64_t events = 0;; ++events) {
    Cut first = run_cut(steps, settings, events, 0, forgets_flushes);
    const std::size_t subsets = subsets_of(first.sectors);
    if (first.sectors != 0) ++matrix.with_unflushed;
    for (std::size_t subset = 0; subset < subsets; ++subset) {
      const Cut cut = subset == 0 ? first : run_cut(steps, settings, events, subset, forgets_flushes);
      ++matrix.cuts;
      if (!cut.wrong.empty() && matrix.wrong.size() < 5) {
        matrix.wrong.insert("after " + std::to_string(events) + " events, subset " + std::to_string(subset) + ": " +
                            cut.wrong);
      }
    }
    if (first.ended || (forgets_flushes && !matrix.wrong.empty())) return matrix;
  }
}

}  // namespace

TEST_CASE("every cut of short histories leaves what was flushed, whole blocks, and no lost space") {
  std::size_t cuts = 0;
  std::size_t with_unflushed = 0;
  for (std::size_t history = 0; history < kHistories.size(); ++history) {
    for (std::size_t with = 0; with < kSettings.size(); ++with) {
      const Matrix matrix = run_matrix(kHistories[history], kSettings[with], false);
      for (const std::string& wrong : matrix.wrong) {
        FAIL_CHECK("history " << history << ", settings " << with << ", " << wrong);
      }
      cuts += matrix.cuts;
      with_unflushed += matrix.with_unflushed;
    }
  }
  CHECK(cuts > 10'000);
  CHECK(with_unflushed > 600);  // cuts that lose nothing would prove nothing
}

TEST_CASE("the matrix finds a device that forgets its flushes") {
  const Matrix matrix = run_matrix(kHistories[0], kSettings[0], true);
  CHECK(!matrix.wrong.empty());
}

}  // namespace rideau::block_device
