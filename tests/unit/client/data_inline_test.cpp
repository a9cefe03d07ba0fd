// SPDX-License-Identifier: Apache-2.0
// Goal: the bytes of inline files are kept, told whole, read back from where they are, and moved out without losing
// any; what their home has not is always backed by a grant.
#include "tests/unit/client/data_bench.hpp"

#include <cerrno>
#include <map>
#include <set>
#include <string>

using namespace rideau;
using namespace rideau::client;

namespace {

constexpr fs::InodeId kInode = 7;

struct Home final : InlineHome {
  explicit Home(Runtime& runtime) : host(runtime) {}
  Task<Result<std::string>> read_inline(fs::InodeId inode) override {
    ++reads;
    co_await sleep_for(host, kMillisecond);
    if (!failure.ok()) co_return failure;
    co_return files[inode];
  }
  void inline_due(fs::InodeId inode) override { due.insert(inode); }
  Runtime& host;
  std::map<fs::InodeId, std::string> files;
  std::set<fs::InodeId> due;
  Status failure{};
  int reads = 0;
};

struct InlineBench : DataBench {
  explicit InlineBench(DataOptions options = {}) : DataBench(1, options, 2), home(node) {
    plane->set_inline_home(home);
    run(take_grants());
    of_file = layout(2);
    of_file.inline_max = 10'000;
    file = plane->file(kInode, of_file, true);
  }
  Task<> take_grants() {
    co_await plane->take_grant(1);
    co_await plane->take_grant(2);
  }
  // As the file system would: false is "to objects".
  Task<Result<bool>> write(std::uint64_t offset, std::string bytes) {
    const IoVec part{bytes.data(), bytes.size()};
    const Result<bool> done = co_await file->write_inline(offset, &part, 1, size);
    if (done.ok() && *done) size = std::max(size, offset + bytes.size());
    co_return done;
  }
  Task<std::string> read() {
    Status failure{};
    const auto bytes = co_await read_bytes(*file, 0, size, size, &failure);
    co_return failure.ok() ? std::string(bytes.begin(), bytes.end()) : "failed";
  }
  bool tell() {
    const auto bytes = file->unsent_inline(size);
    if (!bytes) return false;
    home.files[kInode] = bytes->view();
    file->told_inline();
    return true;
  }
  void forget_all() {
    file->drop();
    REQUIRE(file->try_adopt(of_file, true));
  }
  std::uint64_t object_writes() const { return targets[0]->writes + targets[1]->writes; }

  Home home;
  fs::Layout of_file;
  std::shared_ptr<FileData> file;
  std::uint64_t size = 0;
};

}  // namespace

TEST_CASE("bytes of an inline file are told whole and come back", "[client][data]") {
  InlineBench bench;
  const std::uint64_t asked = bench.object_writes();
  const std::uint64_t granted = bench.plane->figures().grant_bytes;
  bench.run([](InlineBench& b) -> Task<> {
    RIDEAU_HOLDS(*co_await b.write(0, "first"));
    RIDEAU_HOLDS(*co_await b.write(8, "then"));
    RIDEAU_HOLDS(b.file->unsent_inline(b.size)->view() == std::string_view("first\0\0\0then", 12));
    RIDEAU_HOLDS(!b.file->dirty());
    RIDEAU_HOLDS(co_await b.read() == std::string("first\0\0\0then", 12));
    RIDEAU_HOLDS(b.tell());
    RIDEAU_HOLDS(!b.tell());
    RIDEAU_HOLDS(b.home.reads == 0);
    b.forget_all();
    RIDEAU_HOLDS(co_await b.read() == std::string("first\0\0\0then", 12));
    RIDEAU_HOLDS(b.home.reads == 1);
    RIDEAU_HOLDS(co_await b.read() == std::string("first\0\0\0then", 12));
    RIDEAU_HOLDS(b.home.reads == 1);
    // A part is written into what must be asked for first.
    b.forget_all();
    RIDEAU_HOLDS(*co_await b.write(1, "I"));
    RIDEAU_HOLDS(b.home.reads == 2);
    RIDEAU_HOLDS(b.file->unsent_inline(b.size)->view() == std::string_view("fIrst\0\0\0then", 12));
    RIDEAU_HOLDS(b.tell());
    // Bytes that rode with an open need no call.
    b.forget_all();
    b.file->put_inline(Bytes(b.home.files[kInode]));
    RIDEAU_HOLDS(b.file->has_inline(b.size));
    RIDEAU_HOLDS(co_await b.read() == b.home.files[kInode]);
    RIDEAU_HOLDS(b.home.reads == 2);
  }(bench));
  REQUIRE(bench.object_writes() == asked);
  REQUIRE(bench.plane->figures().grant_bytes == granted);
  REQUIRE(bench.plane->dirty_bytes() == 0);
}

TEST_CASE("an inline file is cut and grows without objects", "[client][data]") {
  InlineBench bench;
  bench.run([](InlineBench& b) -> Task<> {
    RIDEAU_HOLDS(*co_await b.write(0, "some bytes"));
    RIDEAU_HOLDS((co_await b.file->truncate(b.size, 4)).ok());
    b.size = 4;
    RIDEAU_HOLDS(b.file->unsent_inline(4)->view() == "some");
    RIDEAU_HOLDS((co_await b.file->truncate(b.size, 6)).ok());
    b.size = 6;
    RIDEAU_HOLDS(b.file->unsent_inline(6)->view() == std::string_view("some\0\0", 6));
    RIDEAU_HOLDS((co_await b.file->truncate(b.size, 0)).ok());
    b.size = 0;
    RIDEAU_HOLDS(!b.file->unsent_inline(0));
  }(bench));
  REQUIRE_FALSE(bench.targets[0]->objects.contains(fs::object_id(kInode, 0, 0)));
  REQUIRE(bench.plane->dirty_bytes() == 0);
}

TEST_CASE("a file that grows too large is moved out", "[client][data]") {
  InlineBench bench;
  const bool durable = GENERATE(false, true);
  const bool cut_first = GENERATE(false, true);
  const bool told = GENERATE(false, true);
  bench.run([](InlineBench& b, bool wants_durable, bool cut, bool is_told) -> Task<> {
    const ObjectId object = fs::object_id(kInode, 0, 0);
    if (cut) b.targets[0]->objects[object] = std::vector<std::uint8_t>(20'000, 'x');  // of somebody who died
    RIDEAU_HOLDS(*co_await b.write(0, std::string(5'000, 'a')));
    if (is_told) {
      RIDEAU_HOLDS(b.tell());
      b.forget_all();
    }
    RIDEAU_HOLDS(!*co_await b.write(9'000, std::string(5'000, 'b')));
    RIDEAU_HOLDS((co_await b.file->move_out(b.size, cut, wants_durable)).ok());
    if (wants_durable) RIDEAU_HOLDS(b.targets[0]->durable[object] == std::vector<std::uint8_t>(5'000, 'a'));
    RIDEAU_HOLDS(!b.file->unsent_inline(b.size));
    RIDEAU_HOLDS((co_await write_bytes(*b.file, 9'000, std::vector<std::uint8_t>(5'000, 'b'))).ok());
    b.size = 14'000;
    // The inode is said to be inline until its server has heard.
    RIDEAU_HOLDS(b.file->try_adopt(b.of_file, true));
    RIDEAU_HOLDS(co_await b.read() == std::string(5'000, 'a') + std::string(4'000, '\0') + std::string(5'000, 'b'));
    RIDEAU_HOLDS((co_await b.file->flush()).ok());
    RIDEAU_HOLDS(b.targets[0]->objects[object].size() == 14'000);
    RIDEAU_HOLDS(b.targets[0]->objects[object][8'999] == 0);
  }(bench, durable, cut_first, told));
  REQUIRE(bench.plane->dirty_bytes() == 0);
}

TEST_CASE("a move out that fails leaves the file inline", "[client][data]") {
  InlineBench bench;
  bench.run([](InlineBench& b) -> Task<> {
    RIDEAU_HOLDS(*co_await b.write(0, "some bytes"));
    RIDEAU_HOLDS(b.tell());
    b.targets[0]->read_failure = posix_error(EIO);  // syncs
    RIDEAU_HOLDS(errno_of(co_await b.file->move_out(b.size, false, true)) == EIO);
    b.targets[0]->read_failure = kOk;
    b.forget_all();
    RIDEAU_HOLDS(co_await b.read() == "some bytes");
    b.home.failure = posix_error(EIO);
    b.forget_all();
    RIDEAU_HOLDS(errno_of(co_await b.file->move_out(b.size, false, false)) == EIO);
    RIDEAU_HOLDS((co_await b.write(2, "x")).status().os_error == EIO);
  }(bench));
}

TEST_CASE("a file that lies elsewhere is read and written there, inline or not", "[client][data]") {
  InlineBench bench;
  bench.run([](InlineBench& b) -> Task<> {
    RIDEAU_HOLDS(*co_await b.write(0, "some bytes"));
    RIDEAU_HOLDS(b.tell());
    b.file->drop();
    fs::Layout moved = b.of_file;
    moved.generation += 3;
    std::swap(moved.targets[0], moved.targets[1]);
    RIDEAU_HOLDS(!b.file->try_adopt(moved, true));
    co_await b.file->adopt(moved, true);
    RIDEAU_HOLDS(b.file->try_adopt(moved, true));
    RIDEAU_HOLDS(co_await b.read() == "some bytes");
    RIDEAU_HOLDS((co_await b.file->move_out(b.size, false, true)).ok());
    const ObjectId object = fs::object_id(kInode, moved.generation, 0);
    RIDEAU_HOLDS(b.targets[1]->durable[object].size() == b.size);
    // With objects, of which cuts may still be made again when the next layout comes.
    RIDEAU_HOLDS((co_await b.file->truncate(b.size, 4)).ok());
    RIDEAU_HOLDS(!b.file->settled());
    b.size = 4;
    fs::Layout again = moved;
    again.generation += 1;
    co_await b.file->adopt(again, false);
    RIDEAU_HOLDS(b.file->settled());
    RIDEAU_HOLDS(b.file->take_error().ok());
    b.targets[1]->objects[fs::object_id(kInode, again.generation, 0)] = {'n', 'e', 'w', '!'};
    RIDEAU_HOLDS(co_await b.read() == "new!");
    // What is older changes nothing.
    RIDEAU_HOLDS(b.file->try_adopt(moved, true));
    co_await b.file->adopt(b.of_file, true);
    RIDEAU_HOLDS(co_await b.read() == "new!");
  }(bench));
  REQUIRE(bench.plane->dirty_bytes() == 0);
}

TEST_CASE("without a grant nothing is taken in, old bytes are due", "[client][data]") {
  DataOptions options;
  options.dirty_bytes_max = 64 << 10;
  options.dirty_age_ms = 100;
  InlineBench bench(options);
  bench.run([](InlineBench& b) -> Task<> {
    RIDEAU_HOLDS(*co_await b.write(0, "some bytes"));
    co_await sleep_for(b.node, 200 * kMillisecond);
    RIDEAU_HOLDS(b.home.due.contains(kInode));
    std::vector<std::shared_ptr<FileData>> others;
    bool refused = false;
    for (fs::InodeId inode = 100; inode < 120 && !refused; ++inode) {
      others.push_back(b.plane->file(inode, b.of_file, true));
      std::string bytes(4096, 'x');
      const IoVec part{bytes.data(), bytes.size()};
      const std::uint64_t empty = 0;
      const auto done = co_await others.back()->write_inline(0, &part, 1, empty);
      RIDEAU_HOLDS(done.ok());
      refused = !*done;
    }
    RIDEAU_HOLDS(refused);
    RIDEAU_HOLDS(b.plane->dirty_bytes() <= 64 << 10);
    b.plane->discard_all();
    RIDEAU_HOLDS(errno_of(b.file->take_error()) == EIO);
  }(bench));
  REQUIRE(bench.plane->dirty_bytes() == 0);
}
