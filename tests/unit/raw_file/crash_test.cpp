// SPDX-License-Identifier: Apache-2.0
// Goal: after a crash no good block is refused, whatever of the unflushed bytes, sizes and names was lost, and whatever
// of the index was not durable; what was flushed and not changed since is there; and what a crash made untrustworthy
// has its sums again afterwards.
#include "tests/conformance/pages.hpp"
#include "tests/unit/raw_file/sums_bench.hpp"

#include <cstring>
#include <set>

namespace rideau::raw_file {
namespace {

using Files = std::map<std::string, std::string>;

constexpr std::uint64_t kObjects = 6;

ObjectId object(std::uint64_t number) { return {number * 0x100'0000, number}; }

// The disk after a power cut: of each file whose bytes changed since `durable`, any mixture of old and new.
void lose_unflushed(SumsFactory& factory, const Files& durable, Dice& dice) {
  const Files now = factory.files();
  std::set<std::string> names;
  for (const auto& [path, bytes] : now) names.insert(path);
  for (const auto& [path, bytes] : durable) names.insert(path);
  for (const std::string& path : names) {
    const auto is = now.find(path);
    const auto was = durable.find(path);
    if (is != now.end() && was != durable.end() && is->second == was->second) continue;
    if (dice.one_in(3)) continue;  // all of it came to the device
    const std::string old = was != durable.end() ? was->second : std::string();
    // The name of a removed object goes before its bytes do, so they are all there with it.
    if (is == now.end()) {
      write_file(path, old);
      continue;
    }
    if (was == durable.end() && dice.one_in(2)) {
      std::filesystem::remove(path);
      continue;
    }
    const std::string& fresh = is->second;
    const std::size_t unit = std::size_t{512} << dice.below(4);
    std::string mixed(dice.one_in(2) ? old.size() : fresh.size(), '\0');
    for (std::size_t at = 0; at < mixed.size(); at += unit) {
      const std::string& from = dice.one_in(2) ? old : fresh;
      for (std::size_t i = at; i < std::min(at + unit, mixed.size()) && i < from.size(); ++i) mixed[i] = from[i];
    }
    write_file(path, mixed);
  }
}

class Crashes {
 public:
  Crashes(SumsBench& bench, std::uint64_t seed, bool power) : bench_(bench), dice_(seed), power_(power) {}

  Task<> lives(int count) {
    for (int life = 0; life < count; ++life) {
      const bool opened = co_await bench_.suite.open(life == 0);
      if (!opened) co_return;
      co_await look_at_everything();
      co_await work();
      if (dice_.one_in(5)) {
        co_await bench_.suite.close();
        durable_ = bench_.factory.files();
        continue;
      }
      bench_.suite.kill();
      pages_.clear();
      if (!power_) continue;
      bench_.factory.disk.power_cut(dice_.roll());
      lose_unflushed(bench_.factory, durable_, dice_);
    }
    co_await every_flip_is_found();
  }

 private:
  // What is there becomes what the model says, and as the kernel has it after a start, it is durable.
  Task<> look_at_everything() {
    ModelObjects seen;
    for (std::uint64_t i = 0; i < kObjects; ++i) {
      std::string bytes;
      const Status status = co_await bench_.suite.read(object(i), 0, kLargest, &bytes);
      const bool exists = status.ok();
      bench_.report.check(exists || status.code == Code::not_found,
                          "a good block is refused: " + bench_.factory.take_log());
      if (!touched_.contains(i)) {
        bench_.report.check(
            exists == model_.exists(object(i)) && (!exists || bytes == model_.read(object(i), 0, kLargest)),
            "what was flushed is there");
      }
      if (exists) seen.write(object(i), 0, bytes);
      if (exists) seen.truncate(object(i), bytes.size());
    }
    model_ = seen;
    touched_.clear();
    durable_ = bench_.factory.files();
    const Status flushed = co_await bench_.suite.flush({});
    bench_.report.ok(flushed, "flush");
  }

  Task<> work() {
    const std::uint64_t steps = 5 + dice_.below(40);
    for (std::uint64_t step = 0; step < steps; ++step) co_await change();
    // Calls that are on their way when the end comes.
    const std::uint64_t last = dice_.below(6);
    for (std::uint64_t i = 0; i < last; ++i) {
      const std::uint64_t number = dice_.below(kObjects);
      touched_.insert(number);
      if (dice_.one_in(3)) {
        begin_pages(number);
        continue;
      }
      bench_.suite.call().write(bench_.suite.store(), object(number), dice_.below(kUsual),
                                dice_.nonzero_bytes(1 + dice_.below(20'000)), dice_.one_in(2) ? 0 : 700);
    }
    const bool flushes = dice_.one_in(3);
    if (flushes) bench_.suite.call().flush(bench_.suite.store(), {});
    if (dice_.one_in(2)) co_await sleep_for(bench_.runtime, dice_.below(4'000'000));
    if (flushes) durable_ = bench_.factory.files();  // it may have been fast
  }

  Task<> change() {
    const std::uint64_t number = dice_.below(kObjects);
    const ObjectId id = object(number);
    const std::uint64_t kind = dice_.below(18);
    if (kind == 0) {
      co_await flush();
    } else if (kind == 1) {
      co_await sleep_for(bench_.runtime, 1'000'000 + dice_.below(8'000'000));
    } else if (kind == 2) {
      touched_.insert(number);
      bench_.report.ok(co_await bench_.suite.remove(id), "remove");
      model_.remove(id);
    } else if (kind == 3) {
      touched_.insert(number);
      const std::uint64_t size = dice_.one_in(3) ? 0 : dice_.below(kUsual);
      bench_.report.ok(co_await bench_.suite.truncate(id, size), "truncate");
      model_.truncate(id, size);
    } else if (kind == 4 && model_.exists(id)) {
      touched_.insert(number);
      const std::uint64_t offset = dice_.below(kUsual);
      const std::uint64_t size = dice_.below(100'000);
      bench_.report.ok(co_await bench_.suite.punch(id, offset, size), "punch");
      model_.punch(id, offset, size);
    } else if (kind == 5) {
      co_await write_together(number);
    } else if (kind >= 16) {
      touched_.insert(number);
      const Written written = begin_pages(number);
      co_await bench_.suite.wait_all();
      bench_.suite.forget_calls();
      model_.write(object(number), written.offset, written.bytes);
    } else if (kind == 6) {
      std::string bytes;
      const Status status = co_await bench_.suite.read(id, dice_.below(kUsual), dice_.below(30'000), &bytes);
      bench_.report.check(status.ok() || status.code == Code::not_found, "a read of a good block");
    } else {
      touched_.insert(number);
      // Mostly small and across the ends of blocks; some far behind, in another segment.
      const std::uint64_t offset = dice_.one_in(12) && number == 0 ? kFar + dice_.below(9000) : dice_.below(kUsual);
      const std::uint64_t aligned = dice_.one_in(2) ? offset / kBlockBytes * kBlockBytes : offset;
      const std::string bytes = dice_.nonzero_bytes(1 + dice_.below(dice_.one_in(4) ? 200'000 : 9000));
      bench_.report.ok(co_await bench_.suite.write(id, aligned, bytes), "write");
      model_.write(id, aligned, bytes);
    }
  }

  struct Written {
    std::uint64_t offset;
    std::string bytes;
  };

  // Whole blocks, which may go around the kernel's cache.
  Written begin_pages(std::uint64_t number) {
    Written written{dice_.below(kUsual / kBlockBytes) * kBlockBytes,
                    dice_.nonzero_bytes((1 + dice_.below(20)) * kBlockBytes)};
    Pages& memory = pages_.emplace_back(make_pages(written.bytes.size()));
    std::memcpy(memory.get(), written.bytes.data(), written.bytes.size());
    bench_.suite.call().transfer(bench_.suite.store(), true, object(number), written.offset,
                                 {{memory.get(), written.bytes.size()}});
    return written;
  }

  // Neighbours in the same blocks, at the same time.
  Task<> write_together(std::uint64_t number) {
    touched_.insert(number);
    const std::uint64_t offset = dice_.below(kUsual);
    for (std::uint64_t i = 0; i < 8; ++i) {
      const std::string bytes = dice_.nonzero_bytes(1500);
      bench_.suite.call().write(bench_.suite.store(), object(number), offset + i * 1500, bytes);
      model_.write(object(number), offset + i * 1500, bytes);
    }
    co_await bench_.suite.wait_all();
    bench_.suite.forget_calls();
    co_await bench_.suite.expect(object(number), std::string(model_.read(object(number), 0, kLargest)), "together");
  }

  Task<> flush() {
    const Status flushed = co_await bench_.suite.flush({});
    bench_.report.ok(flushed, "flush");
    touched_.clear();
    durable_ = bench_.factory.files();
  }

  Task<> every_flip_is_found() {
    const bool opened = co_await bench_.suite.open(false);
    if (!opened) co_return;
    co_await look_at_everything();  // which gives sums to blocks that have none
    co_await bench_.settled();
    while (bench_.factory.disk.count_with("Rm") != 0) co_await bench_.settled();  // what is summed anew takes its time
    co_await bench_.suite.close();
    CHECK(bench_.factory.disk.count_with("Rm") == 0);
    for (const auto& [id, bytes] : model_.objects()) {
      for (std::uint64_t at = dice_.below(kBlockBytes); at < std::min(bytes.size(), std::size_t{kUsual});
           at += kBlockBytes) {
        const bool hole =
            bytes.substr(at / kBlockBytes * kBlockBytes, kBlockBytes).find_first_not_of('\0') == std::string::npos;
        if (!hole) flip_bit(bench_.factory.file_of(id), at);
      }
    }
    const bool again = co_await bench_.suite.open(false);
    if (!again) co_return;
    for (const auto& [id, bytes] : model_.objects()) {
      for (std::uint64_t at = 0; at < std::min(bytes.size(), std::size_t{kUsual}); at += kBlockBytes) {
        const std::string wanted = bytes.substr(at, kBlockBytes);
        std::string found;
        const Status status = co_await bench_.suite.read(id, at, kBlockBytes, &found);
        const bool same = status.ok() && found == wanted;
        const std::size_t first = wanted.find_first_not_of('\0');
        const bool flipped = read_file(bench_.factory.file_of(id)).compare(at, wanted.size(), wanted) != 0;
        bench_.report.check(flipped ? status.code == Code::corrupt : same,
                            "a flipped bit at " + std::to_string(at) + ", first byte " + std::to_string(first));
      }
    }
    co_await bench_.suite.close();
  }

  static constexpr std::uint64_t kUsual = 120'000;
  static constexpr std::uint64_t kFar = 2 << 20;
  static constexpr std::size_t kLargest = 4 << 20;
  SumsBench& bench_;
  Dice dice_;
  const bool power_;
  ModelObjects model_;
  std::set<std::uint64_t> touched_;  // since the last flush
  Files durable_;
  std::vector<Pages> pages_;  // of calls that may be on their way
};

}  // namespace

TEST_CASE("a power cut at any moment") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    SumsBench bench(seed);
    bench.factory.settings.direct_write_min = 0;
    Crashes crashes(bench, seed, true);
    bench.run(crashes.lives(16));
  }
}

TEST_CASE("an end of the process at any moment") {
  for (std::uint64_t seed = 101; seed <= 103; ++seed) {
    SumsBench bench(seed);
    bench.factory.settings.direct_write_min = 0;
    Crashes crashes(bench, seed, false);
    bench.run(crashes.lives(16));
  }
}

}  // namespace rideau::raw_file
