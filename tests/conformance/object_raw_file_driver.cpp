// SPDX-License-Identifier: Apache-2.0
// Goal: what is special to backends/raw_file: who holds a folder is named, foreign and newer data is refused and left
// as it is, descriptors stay within their limit, empty folders go, the count of objects survives any end, and files
// that are used again bring nothing with them.
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/object_suite_tools.hpp"
#include "tests/conformance/index_host.hpp"
#include "tests/conformance/object_raw_file.hpp"

#include <catch2/catch.hpp>

#include <csignal>
#include <fstream>
#include <iterator>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rideau {
namespace {

namespace fs = std::filesystem;
using object_suite::Suite;

// A test body runs as a coroutine on a suite of its own.
struct Bench {
  RealRuntime runtime;
  TestHost host{runtime};
  RawFileFactory factory;
  Report report;
  Suite suite{runtime, factory, 1, report};

  explicit Bench(RawFileSettings settings = {}) : factory(runtime, host, settings) { report.rule("driver"); }
  void run(Task<> (*body)(Suite&)) { runtime.run(body(suite)); }
  const std::string& path() const { return factory.settings().path; }
  void check() {
    report.finish();
    if (report.exit_status() != 0) report.print(stdout);
    CHECK(report.exit_status() == 0);
  }
  Status try_start() {
    Status status;
    auto body = [](Suite& target, Status& out) -> Task<> {
      Result<ObjectStore*> made = target.factory.make();
      ObjectStore* store = *made;
      const Outcome started = co_await submit([store](Completion& done) { return store->start(done); });
      out = started.status;
      if (started.ok()) {
        const Outcome stopped = co_await submit([store](Completion& done) { return store->stop(done); });
        CHECK(stopped.ok());
      }
      store->destroy();
    };
    runtime.run(body(suite, status));
    return status;
  }
};

std::map<std::string, std::string> contents(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    std::string text;
    if (entry.is_regular_file()) {
      std::ifstream file(entry.path(), std::ios::binary);
      text.assign(std::istreambuf_iterator<char>(file), {});
    }
    files[entry.path().string()] = text;
  }
  return files;
}

void write_file(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

std::size_t open_descriptors() {
  std::size_t count = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = fs::read_symlink(entry.path(), gone).string();
    if (target.find("/objects/") != std::string::npos) ++count;
  }
  return count;
}

Task<> write_some(Suite& suite) {
  const bool opened = co_await suite.open(false);
  if (!opened) co_return;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const ObjectId id{i * 1000, i};
    const Status done = co_await suite.write(id, 0, std::string("some bytes"));
    suite.report.ok(done, "write");
  }
  suite.report.check(open_descriptors() <= 20, "open descriptors");
  for (std::uint64_t i = 0; i < 200; ++i) {
    const ObjectId id{i * 1000, i};
    co_await suite.expect(id, std::string("some bytes"), "reopened");
  }
  suite.report.check(open_descriptors() <= 20, "open descriptors");
  co_await suite.close();
  suite.report.equal(open_descriptors(), 0, "open descriptors after the end");
}

// Of 80 descriptors 60 are for objects.
Task<> write_within_the_limit(Suite& suite) {
  const bool opened = co_await suite.open(false);
  if (!opened) co_return;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const Status done = co_await suite.write(ObjectId{i, 0}, 0, std::string("some bytes"));
    suite.report.ok(done, "write");
  }
  suite.report.equal(open_descriptors(), 60, "open descriptors");
  co_await suite.close();
}

Task<> remove_all(Suite& suite) {
  const bool opened = co_await suite.open(false);
  if (!opened) co_return;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const ObjectId id{i * 1000, i};
    const Status done = co_await suite.remove(id);
    suite.report.ok(done, "remove");
  }
  const Status done = co_await suite.flush(std::vector<ObjectId>());
  suite.report.ok(done, "flush");
  co_await suite.close();
}

// New objects get the files of old ones, which must not show in size or bytes.
Task<> write_behind_a_hole(Suite& suite) {
  const bool opened = co_await suite.open(false);
  if (!opened) co_return;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const ObjectId id{7'000'000 + i, i};
    const Status done = co_await suite.write(id, 3, std::string("new"));
    suite.report.ok(done, "write");
    co_await suite.expect(id, std::string(3, '\0') + "new", "a file used again");
  }
  co_await suite.close();
}

// The count of objects after one kill and one clean stop.
Task<> count_objects(Suite& suite) {
  for (int life = 0; life < 3; ++life) {
    const bool opened = co_await suite.open(false);
    if (!opened) co_return;
    ObjectSpace space;
    suite.report.ok(suite.store().space(&space), "space");
    suite.report.equal(space.object_count, static_cast<std::uint64_t>(life) * 10, "object_count");
    for (std::uint64_t i = 0; i < 10; ++i) {
      const ObjectId id{static_cast<std::uint64_t>(life), i};
      const Status done = co_await suite.write(id, 0, std::string("x"));
      suite.report.ok(done, "write");
      const Status again = co_await suite.write(id, 1, std::string("y"));
      suite.report.ok(again, "write again");
    }
    if (life == 0) {
      suite.kill();
    } else {
      co_await suite.close();
    }
  }
}

}  // namespace

TEST_CASE("descriptors stay within their limit, and removed objects leave no folders") {
  Bench bench({"", 16, 4});
  bench.run(write_some);
  CHECK(std::distance(fs::directory_iterator(bench.path() + "/objects"), {}) > 0);
  bench.run(remove_all);
  CHECK(std::distance(fs::directory_iterator(bench.path() + "/objects"), {}) == 0);
  bench.check();
}

TEST_CASE("descriptors stay within what the process may have") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit few = before;
  few.rlim_cur = 80;
  Bench bench({"", 1024, 4});
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  bench.run(write_within_the_limit);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  bench.check();
}

TEST_CASE("files of removed objects are used again, but not those that a crash left with something in them") {
  Bench bench({"", 16, 4});
  bench.run(write_some);
  bench.run(remove_all);
  const std::string free_folder = bench.path() + "/free";
  std::map<std::string, std::string> kept = contents(free_folder);
  REQUIRE(kept.size() == 200);
  for (const auto& [path, text] : kept) CHECK(text.empty());
  const std::string cut_short = free_folder + "/000f0000";
  write_file(cut_short, "bytes of a removed object");
  const std::string also_object = free_folder + "/000f0001";
  write_file(bench.path() + "/objects/elsewhere", "");
  fs::create_hard_link(bench.path() + "/objects/elsewhere", also_object);
  REQUIRE(bench.try_start().ok());
  CHECK_FALSE(fs::exists(cut_short));
  CHECK_FALSE(fs::exists(also_object));
  CHECK(contents(free_folder).size() == 200);
  bench.run(write_behind_a_hole);
  CHECK(contents(free_folder).empty());
  bench.check();
}

TEST_CASE("the count of objects survives a kill and a stop") {
  Bench bench;
  bench.run(count_objects);
  bench.check();
}

TEST_CASE("a second start names the process that holds the store") {
  Bench bench;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Bench holder;  // its factory has a folder of its own, so the settings are those of the parent
    RawFileSettings settings = bench.factory.settings();
    settings.checksums = false;  // which need an index
    Result<ObjectStore*> made = make_raw_file(holder.host, settings);
    auto body = [](ObjectStore* store, int fd) -> Task<> {
      const Outcome started = co_await submit([store](Completion& done) { return store->start(done); });
      const char answer = started.ok() ? 'y' : 'n';
      if (::write(fd, &answer, 1) != 1) ::_exit(1);
      ::pause();
    };
    holder.runtime.run(body(*made, ready[1]));
    ::_exit(0);
  }
  char answer = 0;
  REQUIRE(::read(ready[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  bench.host.take_log();
  CHECK(bench.try_start().code == Code::exists);
  CHECK(bench.host.take_log().find("process " + std::to_string(child)) != std::string::npos);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(bench.try_start().ok());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("a store of a newer version, a damaged one and a foreign folder are refused and left as they are") {
  Bench bench({.checksums = false});
  REQUIRE(bench.try_start().ok());
  Code expected = Code::ok;
  std::string words;
  SECTION("newer") {
    fs::remove(bench.path() + "/clean");
    fs::remove(bench.path() + "/lock");
    write_file(bench.path() + "/format", "rideau raw-file store\nversion 3\nsomething new\n");
    expected = Code::refused;
    words = "format version 3";
  }
  SECTION("damaged format") {
    write_file(bench.path() + "/format", "rideau raw-file store\nversion 1\nuuid 12\n");
    expected = Code::corrupt;
    words = "no uuid";
  }
  SECTION("empty format") {
    write_file(bench.path() + "/format", "");
    expected = Code::corrupt;
    words = "format";
  }
  SECTION("the objects are gone") {
    fs::remove_all(bench.path() + "/objects");
    expected = Code::corrupt;
    words = "/objects";
  }
  SECTION("foreign") {
    fs::remove_all(bench.path());
    fs::create_directory(bench.path());
    write_file(bench.path() + "/thesis.txt", "years of work");
    expected = Code::refused;
    words = "thesis.txt";
  }
  SECTION("no parent folder") {
    fs::remove_all(fs::path(bench.path()).parent_path());
    expected = Code::not_found;
    words = "parent folder";
  }
  const bool there = fs::exists(bench.path());
  const auto before = there ? contents(bench.path()) : std::map<std::string, std::string>();
  bench.host.take_log();
  CHECK(bench.try_start().code == expected);
  const std::string log = bench.host.take_log();
  CHECK(log.find(words) != std::string::npos);
  CHECK(log.find(bench.path()) != std::string::npos);
  if (!there) {
    CHECK(!fs::exists(bench.path()));
  } else if (expected == Code::refused) {
    CHECK(contents(bench.path()) == before);
  }
}

TEST_CASE("settings that do not fit each other are refused") {
  Bench bench;
  CHECK(make_raw_file(bench.host, {bench.path(), 16, 64}).status().code == Code::invalid);
  CHECK(bench.host.take_log().find("open_files_max") != std::string::npos);
  CHECK(make_raw_file(bench.host, {"", 64, 64}).status().code == Code::invalid);
  CHECK(bench.host.take_log().find("path") != std::string::npos);
}

}  // namespace rideau
