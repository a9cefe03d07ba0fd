// SPDX-License-Identifier: Apache-2.0
// Goal: the example of docs/plugin_authors.md works as the page says: entries survive a restart and a power cut once
// their commit was durable, checks hold batches back, snapshots see one state. Under guards. (Its conformance suite is
// in tests/conformance.)
#include "framework/plugin_host/instance.hpp"
#include "framework/plugin_host/load.hpp"
#include "framework/runtime/real_runtime.hpp"

#include <catch2/catch.hpp>

#include <filesystem>
#include <memory>
#include <string>

#include <unistd.h>

using namespace rideau;

namespace {

Bytes text(std::string_view chars) { return Bytes(chars); }

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "rideau-minimal-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file() const { return path_ + "/index"; }

 private:
  std::string path_;
};

struct World {
  RealRuntime runtime;
  MemoryLogger logger;
  std::unique_ptr<PluginInstance> instance;

  explicit World(const std::string& path) {
    const LoadResult loaded = load_plugin(ABI_PLUGINS "/rideau-minimal.so", PluginKind::index_store);
    INFO(loaded.message);
    REQUIRE(loaded.ok());
    REQUIRE(loaded.descriptor->key_count == 2);
    instance = std::make_unique<PluginInstance>(runtime, logger, *loaded.descriptor,
                                                PluginInstanceOptions{.name = "test.index", .guarded = true});
    ConfigValue values[2];
    values[0].text = std::string_view(path);
    values[1].integer = 1 << 20;
    REQUIRE(instance->create(values).ok());
  }
  void run(Task<> task) { runtime.run(std::move(task)); }
  IndexStore& store() { return instance->index_store(); }
};

Task<Outcome> put(IndexStore& store, std::string key, std::string value, Durability durability, Check::Kind kind) {
  Check check;
  check.kind = kind;
  check.key = text(key);
  Edit edit;
  edit.key = text(key);
  edit.value = text(value);
  IndexBatch batch;
  batch.checks = &check;
  batch.check_count = 1;
  batch.edits = &edit;
  batch.edit_count = 1;
  Outcome outcome = co_await submit([&](Completion& done) { return store.commit(&batch, 1, durability, done); });
  if (outcome.ok()) outcome.status = batch.status;
  co_return outcome;
}

std::string value_of(IndexStore& store, std::string_view key) {
  Snapshot* snapshot = nullptr;
  REQUIRE(store.snapshot(&snapshot).ok());
  Bytes value;
  const Status status = snapshot->get(text(key), &value);
  const std::string found = status.ok() ? std::string(value.view()) : "(none)";
  snapshot->release();
  return found;
}

Task<> first_life(World& world) {
  const Status started = co_await world.instance->start();
  REQUIRE(started.ok());
  IndexStore& store = world.store();
  Outcome done = co_await put(store, "a", "1", Durability::eventual, Check::Kind::absent);
  CHECK(done.ok());
  CHECK(done.value == 1);
  done = co_await put(store, "b", "2", Durability::durable, Check::Kind::absent);
  CHECK(done.ok());
  done = co_await put(store, "b", "3", Durability::durable, Check::Kind::absent);
  CHECK(done.status.code == Code::check_failed);
  done = co_await put(store, std::string(600, 'k'), "3", Durability::durable, Check::Kind::absent);
  CHECK(done.status.code == Code::too_large);

  Snapshot* old = nullptr;
  REQUIRE(store.snapshot(&old).ok());
  done = co_await put(store, "a", "changed", Durability::eventual, Check::Kind::present);
  CHECK(done.ok());
  Bytes key;
  Bytes value;
  REQUIRE(old->seek(text(""), &key, &value).ok());
  CHECK(value.view() == "1");
  REQUIRE(old->next(&key, &value).ok());
  CHECK(key.view() == "b");
  CHECK(old->next(&key, &value).code == Code::not_found);
  old->release();
  CHECK(value_of(store, "a") == "changed");
  done = co_await put(store, "full", std::string(1020 * 1024, 'x'), Durability::eventual, Check::Kind::absent);
  CHECK(done.status.code == Code::no_space);
}

Task<> stop(World& world) {
  const Status stopped = co_await world.instance->stop();
  CHECK(stopped.ok());
}

Task<> look(World& world, std::string a, std::string b) {
  const Status started = co_await world.instance->start();
  REQUIRE(started.ok());
  CHECK(value_of(world.store(), "a") == a);
  CHECK(value_of(world.store(), "b") == b);
}

}  // namespace

TEST_CASE("the example keeps what was durable through a power cut, and everything through a stop") {
  const Folder folder;
  {
    World world(folder.file());
    world.run(first_life(world));
  }  // destroyed without stop
  {
    World world(folder.file());
    world.run(look(world, "1", "2"));
    world.run(stop(world));
  }
  {
    World world(folder.file());
    world.run(look(world, "1", "2"));
    world.run(stop(world));
  }
}

TEST_CASE("a file that is no index is refused") {
  const Folder folder;
  {
    std::unique_ptr<FILE, int (*)(FILE*)> out(fopen(folder.file().c_str(), "w"), fclose);
    REQUIRE(fputs("not an index", out.get()) >= 0);
  }
  World world(folder.file());
  Status started;
  auto start = [](World& where, Status& answer) -> Task<> { answer = co_await where.instance->start(); };
  world.run(start(world, started));
  CHECK(started.code == Code::corrupt);
  CHECK(world.instance->message().find(folder.file()) != std::string::npos);
}
