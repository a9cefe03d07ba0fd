// SPDX-License-Identifier: Apache-2.0
// Goal: what is special to backends/lmdb: who holds a folder is named, foreign and newer data is refused and left as it
// is, snapshots are bounded, and old ones only delay the reuse of space.
#include "framework/runtime/real_runtime.hpp"
#include "sdk/testkit/index_suite_tools.hpp"
#include "tests/conformance/index_lmdb.hpp"

#include <catch2/catch.hpp>
#include <lmdb.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include <sys/wait.h>
#include <unistd.h>

namespace rideau {
namespace {

using index_suite::Suite;

struct Bench {
  RealRuntime runtime;
  TestHost host{runtime};
  TemporaryFolder folder;
  LmdbSettings settings{folder.path() + "/index"};

  Status start(IndexStore& store) { return run(store, true); }
  Status stop(IndexStore& store) { return run(store, false); }
  IndexStore* make() { return *make_lmdb(host, settings); }
  Status try_start() {
    IndexStore* store = make();
    const Status status = start(*store);
    if (status.ok()) CHECK(stop(*store).ok());
    store->destroy();
    return status;
  }
  Status commit(IndexStore& store, index_suite::Batch& batch, std::uint64_t* sequence = nullptr) {
    IndexBatch view = batch.view();
    Outcome outcome;
    auto body = [](IndexStore& index, IndexBatch& one, Outcome& out) -> Task<> {
      out = co_await submit([&](Completion& done) { return index.commit(&one, 1, Durability::durable, done); });
    };
    runtime.run(body(store, view, outcome));
    if (sequence != nullptr) *sequence = view.sequence;
    return outcome.status.ok() ? view.status : outcome.status;
  }

 private:
  Status run(IndexStore& store, bool starting) {
    Outcome outcome;
    auto body = [](IndexStore& index, bool first, Outcome& out) -> Task<> {
      out = co_await submit([&](Completion& done) { return first ? index.start(done) : index.stop(done); });
    };
    runtime.run(body(store, starting, outcome));
    return outcome.status;
  }
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// In a process of its own: makes an index, commits one entry, says so, and waits to be killed.
[[noreturn]] void serve_until_killed(const std::string& path, int ready) {
  Bench bench;
  bench.settings.path = path;
  IndexStore* store = bench.make();
  index_suite::Batch batch;
  batch.put("of the child", "1");
  const bool ok = bench.start(*store).ok() && bench.commit(*store, batch).ok();
  const char word = ok ? '+' : '-';
  if (::write(ready, &word, 1) != 1) ::_exit(2);
  for (;;) ::pause();
}

int put_directly(const std::string& path, const char* table, const std::string& key, const std::string& value) {
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  MDB_val k{key.size(), const_cast<char*>(key.data())};
  MDB_val v{value.size(), const_cast<char*>(value.data())};
  int code = ::mdb_env_create(&env);
  if (code == 0) code = ::mdb_env_set_maxdbs(env, 2);
  if (code == 0) code = ::mdb_env_open(env, path.c_str(), 0, 0600);
  if (code == 0) code = ::mdb_txn_begin(env, nullptr, 0, &txn);
  if (code == 0) code = ::mdb_dbi_open(txn, table, MDB_CREATE, &dbi);
  if (code == 0) code = ::mdb_put(txn, dbi, &k, &v, 0);
  if (code == 0) code = ::mdb_txn_commit(txn);
  ::mdb_env_close(env);
  return code;
}

}  // namespace

TEST_CASE("a second process is refused with the folder and the process that has it, until that one is dead") {
  TemporaryFolder folder;
  const std::string path = folder.path() + "/index";
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) serve_until_killed(path, ready[1]);
  char word = 0;
  REQUIRE(::read(ready[0], &word, 1) == 1);
  REQUIRE(word == '+');

  Bench bench;
  bench.settings.path = path;
  CHECK(bench.try_start().code == Code::exists);
  const std::string log = bench.host.take_log();
  CHECK(contains(log, path));
  CHECK(contains(log, "process " + std::to_string(child)));

  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  IndexStore* store = bench.make();
  REQUIRE(bench.start(*store).ok());
  Snapshot* snapshot = nullptr;
  REQUIRE(store->snapshot(&snapshot).ok());
  Bytes value;
  CHECK(snapshot->get(Bytes(std::string_view("of the child")), &value).ok());
  snapshot->release();
  CHECK(bench.stop(*store).ok());
  store->destroy();
}

TEST_CASE("a second instance in one process is refused too, and says so") {
  Bench bench;
  IndexStore* store = bench.make();
  REQUIRE(bench.start(*store).ok());
  CHECK(bench.try_start().code == Code::exists);
  CHECK(contains(bench.host.take_log(), "this one, by another instance"));
  CHECK(bench.stop(*store).ok());
  store->destroy();
  CHECK(bench.try_start().ok());
}

TEST_CASE(
    "a compaction keeps what is there, gives up pages of what is not, and survives an interrupted one before it") {
  Bench bench;
  const std::string data = bench.settings.path + "/data.mdb";
  IndexStore* store = bench.make();
  REQUIRE(bench.start(*store).ok());
  const auto key = [](int number) { return "key " + std::to_string(number); };
  for (int group = 0; group < 10; ++group) {
    index_suite::Batch batch;
    for (int i = 0; i < 500; ++i) batch.put(key(group * 500 + i), std::string(1000, 'v'));
    REQUIRE(bench.commit(*store, batch).ok());
  }
  constexpr int kKept = 50;
  for (int group = 0; group < 10; ++group) {
    index_suite::Batch batch;
    for (int i = group == 0 ? kKept : 0; i < 500; ++i) batch.erase(key(group * 500 + i));
    REQUIRE(bench.commit(*store, batch).ok());
  }
  CHECK(bench.stop(*store).ok());
  store->destroy();
  const auto before = std::filesystem::file_size(data);
  std::ofstream(data + ".compacted") << "half of it";
  bench.settings.compact = true;
  store = bench.make();
  REQUIRE(bench.start(*store).ok());
  CHECK(std::filesystem::file_size(data) < before / 4);
  CHECK_FALSE(std::filesystem::exists(data + ".compacted"));
  Snapshot* snapshot = nullptr;
  REQUIRE(store->snapshot(&snapshot).ok());
  for (int i = 0; i < 1000; ++i) {
    const std::string name = key(i);
    Bytes value;
    const Status found = snapshot->get(Bytes(std::string_view(name)), &value);
    CHECK(found.code == (i < kKept ? Code::ok : Code::not_found));
    if (found.ok()) CHECK(value.size == 1000);
  }
  snapshot->release();
  index_suite::Batch more;
  more.put("after", "it");
  CHECK(bench.commit(*store, more).ok());
  CHECK(bench.stop(*store).ok());
  store->destroy();
}

TEST_CASE("S63: data of a newer version is refused with a clear word and left untouched") {
  Bench bench;
  REQUIRE(bench.try_start().ok());
  REQUIRE(put_directly(bench.settings.path, "format", "version", std::string("\2\0\0\0", 4)) == 0);
  const std::string before = contents(bench.settings.path + "/data.mdb");
  CHECK(bench.try_start().code == Code::refused);
  const std::string log = bench.host.take_log();
  CHECK(contains(log, bench.settings.path));
  CHECK(contains(log, "format version 2"));
  CHECK(contents(bench.settings.path + "/data.mdb") == before);
}

TEST_CASE("what is not an index of ours is refused and left untouched") {
  Bench bench;
  std::filesystem::create_directory(bench.settings.path);
  const std::string data = bench.settings.path + "/data.mdb";
  SECTION("an LMDB environment of another program") {
    REQUIRE(put_directly(bench.settings.path, nullptr, "their key", "their value") == 0);
    const std::string before = contents(data);
    CHECK(bench.try_start().code == Code::refused);
    CHECK(contents(data) == before);
  }
  SECTION("a file of another kind") {
    const std::string garbage(20'000, 'x');
    std::ofstream(data, std::ios::binary) << garbage;
    CHECK(bench.try_start().code == Code::corrupt);
    CHECK(contents(data) == garbage);
  }
  CHECK(contains(bench.host.take_log(), bench.settings.path));
}

TEST_CASE("a folder that cannot be made is a clear error") {
  Bench bench;
  SECTION("its parent is missing") {
    const std::string parent = bench.settings.path;
    bench.settings.path += "/deeper";
    CHECK(bench.try_start().code == Code::not_found);
    CHECK(contains(bench.host.take_log(), parent + " does not exist"));
    CHECK_FALSE(std::filesystem::exists(parent));
  }
  SECTION("a file has its name") {
    std::ofstream(bench.settings.path) << "a file";
    CHECK(bench.try_start().code == Code::invalid);
    CHECK(contains(bench.host.take_log(), "not a folder"));
  }
}

TEST_CASE("snapshots are bounded by max_readers, and one that is released can be had again") {
  Bench bench;
  bench.settings.max_readers = 3;
  IndexStore* store = bench.make();
  REQUIRE(bench.start(*store).ok());
  Snapshot* held[4] = {};
  for (int i = 0; i < 3; ++i) REQUIRE(store->snapshot(&held[i]).ok());
  CHECK(store->snapshot(&held[3]).code == Code::busy);
  index_suite::Batch batch;
  batch.put("a", "1");
  CHECK(bench.commit(*store, batch).ok());
  IndexSpace space;
  CHECK(store->space(&space).ok());
  held[1]->release();
  REQUIRE(store->snapshot(&held[1]).ok());
  Bytes value;
  CHECK(held[0]->get(Bytes(std::string_view("a")), &value).code == Code::not_found);
  CHECK(held[1]->get(Bytes(std::string_view("a")), &value).ok());
  for (int i = 0; i < 3; ++i) held[i]->release();
  CHECK(bench.stop(*store).ok());
  store->destroy();
}

TEST_CASE("S58: an old snapshot delays the reuse of space and nothing else") {
  Bench bench;
  bench.settings.map_size = 2 << 20;
  IndexStore* store = bench.make();
  REQUIRE(bench.start(*store).ok());
  const std::string value(400, 'v');
  Snapshot* old = nullptr;
  REQUIRE(store->snapshot(&old).ok());
  // The same hundred entries again and again: only what the snapshot pins can fill the map.
  const auto overwrite = [&] {
    index_suite::Batch batch;
    for (std::uint64_t i = 0; i < 100; ++i) batch.put(index_suite::numbered("k", i), value);
    return bench.commit(*store, batch);
  };
  Status status = kOk;
  int rounds = 0;
  while (status.ok() && ++rounds < 1000) status = overwrite();
  CHECK(status.code == Code::no_space);
  Bytes found;
  CHECK(old->get(Bytes(std::string_view("k00000000")), &found).code == Code::not_found);
  old->release();
  for (int i = 0; i < 200; ++i) REQUIRE(overwrite().ok());
  CHECK(bench.stop(*store).ok());
  store->destroy();
}

TEST_CASE("S58: a full map can be emptied by one large batch that frees space") {
  Bench bench;
  bench.settings.map_size = 16 << 20;
  IndexStore* store = bench.make();
  REQUIRE(bench.start(*store).ok());
  const std::string value(3000, 'v');
  std::uint64_t count = 0;
  for (Status status = kOk; status.ok();) {
    index_suite::Batch batch;
    batch.put(index_suite::numbered("k", count), value);
    status = bench.commit(*store, batch);
    if (status.ok()) ++count;
    REQUIRE((status.ok() || status.code == Code::no_space));
  }
  CHECK(count > 1000);
  index_suite::Batch all;
  all.frees_space();
  for (std::uint64_t i = 0; i < count; ++i) all.erase(index_suite::numbered("k", i));
  CHECK(bench.commit(*store, all).ok());
  index_suite::Batch again;
  for (std::uint64_t i = 0; i < 1000; ++i) again.put(index_suite::numbered("n", i), value);
  CHECK(bench.commit(*store, again).ok());
  IndexSpace space;
  REQUIRE(store->space(&space).ok());
  CHECK(space.entry_count == 1000);
  CHECK(bench.stop(*store).ok());
  store->destroy();
}

TEST_CASE("destroy while a commit runs waits for it and gives the folder free") {
  Bench bench;
  for (int round = 0; round < 20; ++round) {
    IndexStore* store = bench.make();
    REQUIRE(bench.start(*store).ok());
    index_suite::Call call;
    Report report;
    auto body = [](Runtime& runtime, IndexStore& index, index_suite::Call& pending, int wait) -> Task<> {
      for (int i = 0; i < 200; ++i) pending.batch().put(index_suite::numbered("k", static_cast<std::uint64_t>(i)), "v");
      pending.submit(index, Durability::durable);
      for (int i = 0; i < wait; ++i) co_await sleep_for(runtime, 50 * kMicrosecond);
      index.destroy();
    };
    bench.runtime.run(body(bench.runtime, *store, call, round));
    if (!call.ended()) call.abandon(bench.runtime);
  }
  CHECK(bench.try_start().ok());
}

}  // namespace rideau
