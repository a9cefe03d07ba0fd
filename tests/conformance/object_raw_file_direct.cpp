// SPDX-License-Identifier: Apache-2.0
// Goal: raw-file's writes around the kernel's cache and those through it, of one object and side by side, make what a
// model says, with checksums and without, whatever is read meanwhile; and a file system that knows no such writes is
// used without them.
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/object_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/object_raw_file.hpp"
#include "tests/conformance/pages.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

namespace rideau {
namespace {

namespace fs = std::filesystem;
using object_suite::Call;
using object_suite::Suite;

constexpr std::size_t kObjectBytes = 1 << 20;
constexpr std::size_t kChunk = 64 << 10;  // what one write of a round may touch
constexpr std::int64_t kDirectMin = 16 << 10;

// Descriptors of objects that were opened with O_DIRECT.
std::size_t direct_descriptors() {
  std::size_t count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (fs::read_symlink(entry.path(), gone).string().find("/objects/") == std::string::npos) continue;
    const int flags = ::fcntl(std::atoi(entry.path().filename().c_str()), F_GETFL);
    if (flags >= 0 && (flags & O_DIRECT) != 0) ++count;
  }
  return count;
}

// Each round writes some chunks of the object at once, direct where the dice give whole pages and enough of them, and
// reads all of it beside them.
Task<> mix_writes(Suite& suite) {
  const bool opened = co_await suite.open(true);
  if (!opened) co_return;
  Dice dice(suite.seed);
  const ObjectId id{1, 1};
  std::string model(kObjectBytes, '\0');
  const Pages memory = make_pages(kObjectBytes);
  co_await suite.write(id, kObjectBytes - 1, std::string(1, '\0'));
  for (int round = 0; round < 150; ++round) {
    for (std::size_t chunk = 0; chunk < kObjectBytes; chunk += kChunk) {
      if (dice.below(3) == 0) continue;
      const bool whole = dice.below(2) == 0;
      std::size_t begin = chunk + dice.below(kChunk / 2);
      std::size_t end = begin + 1 + dice.below(chunk + kChunk - begin);
      if (whole) {
        begin = begin / kPage * kPage;
        end = std::min(chunk + kChunk, (end + kPage - 1) / kPage * kPage);
      }
      for (std::size_t at = begin; at < end; ++at) model[at] = static_cast<char>(dice.below(256));
      std::memcpy(memory.get() + begin, model.data() + begin, end - begin);
      const std::size_t middle = whole ? begin + (end - begin) / kPage / 2 * kPage : begin;
      std::vector<IoVec> parts;
      if (middle > begin) parts.push_back({memory.get() + begin, middle - begin});
      parts.push_back({memory.get() + middle, end - middle});
      suite.call().transfer(suite.store(), true, id, begin, std::move(parts));
    }
    suite.call().read(suite.store(), id, 0, kObjectBytes);
    co_await suite.wait_all();
    suite.forget_calls();
    co_await suite.expect(id, model, "after a round");
    if (dice.below(4) == 0) {
      const Status flushed = co_await suite.flush(std::vector<ObjectId>(1, id));
      suite.report.ok(flushed, "flush");
    }
  }
  suite.report.equal(direct_descriptors(), 1, "descriptors with O_DIRECT");
  const Status removed = co_await suite.remove(id);
  suite.report.ok(removed, "remove");
  co_await suite.close();
  suite.report.equal(direct_descriptors(), 0, "descriptors with O_DIRECT after the end");
}

Task<> write_pages(Suite& suite) {
  const bool opened = co_await suite.open(false);
  if (!opened) co_return;
  const Pages memory = make_pages(kChunk);
  std::memset(memory.get(), 'x', kChunk);
  for (std::uint64_t number = 0; number < 40; ++number) {
    const ObjectId id{1, number};
    std::vector<IoVec> parts;
    parts.push_back({memory.get(), kChunk});
    suite.call().transfer(suite.store(), true, id, kPage, std::move(parts));
    co_await suite.wait_all();
    suite.forget_calls();
    co_await suite.expect(id, std::string(kPage, '\0') + std::string(kChunk, 'x'), "pages");
  }
  const Status flushed = co_await suite.flush(std::vector<ObjectId>());
  suite.report.ok(flushed, "flush");
  co_await suite.close();
}

struct Bench {
  explicit Bench(RawFileSettings settings) : factory(runtime, host, std::move(settings)) { report.rule("direct"); }
  void run(Task<> (*body)(Suite&)) {
    Suite suite(runtime, factory, 1, report);
    runtime.run(body(suite));
    report.finish();
    if (report.exit_status() != 0) report.print(stdout);
    CHECK(report.exit_status() == 0);
  }

  RealRuntime runtime;
  TestHost host{runtime};
  RawFileFactory factory;
  Report report;
};

}  // namespace

TEST_CASE("writes around the kernel's cache and through it") {
  const bool checksums = GENERATE(true, false);
  Bench({"", 1024, 64, kDirectMin, checksums}).run(mix_writes);
}

TEST_CASE("few descriptors are enough for two of an object") { Bench({"", 16, 16, kDirectMin}).run(write_pages); }

TEST_CASE("a file system that refuses O_DIRECT") {
  Bench bench({"", 1024, 64, kDirectMin});
  const std::string& path = bench.factory.settings().path;
  fs::create_directory(path);
  // A file system in memory that has nothing to go around.
  if (::mount("rideau", path.c_str(), "ramfs", 0, nullptr) != 0) {
    WARN("not tried: only root may mount");
    return;
  }
  bench.run(write_pages);
  CHECK(bench.host.take_log().find("refuses O_DIRECT") != std::string::npos);
  CHECK(::umount(path.c_str()) == 0);
}

}  // namespace rideau
