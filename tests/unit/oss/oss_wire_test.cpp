// SPDX-License-Identifier: Apache-2.0
// Goal: the client's data path, its calls, the wire and an object target fit together: a file written through all of
// them reads back equal, grants flow, and what a power cut takes from the target comes again from the cache.
#include "framework/rpc/client_session.hpp"
#include "framework/rpc/server.hpp"
#include "plugins/client/file_data.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/unit/oss/oss_bench.hpp"

#include <cerrno>

namespace rideau::oss {
namespace {

class Events final : public rpc::SessionEvents {
 public:
  explicit Events(client::DataPlane& plane) : plane_(plane) {}
  Task<rpc::CallbackReply> on_callback(std::uint16_t, Bytes, std::uint64_t) override { co_return rpc::CallbackReply{}; }
  void on_new_epoch(std::uint64_t, bool kept_all) override { plane_.on_new_epoch(7, kept_all); }

 private:
  client::DataPlane& plane_;
};

// A node's way onto the simulated network.
struct Port {
  Port(sim::SimNetwork& network, sim::SimRuntime& node, Logger& log)
      : place{&network, &node}, plugin(node, log, sim::kSimTransportDescriptor, {"transport", true}) {
    ConfigValue value;
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&place));
    REQUIRE(plugin.create(&value).ok());
  }
  sim::SimPlace place;
  PluginInstance plugin;
};

struct Serving {
  Serving(OssBench& bench, sim::SimNetwork& network) : life(bench.live()), port(network, life->node, life->log) {
    if (bench.index_disk->entry_count() == 0) REQUIRE(life->format().ok());
    REQUIRE(life->start().ok());
    life->run(start_port());
    server = std::make_unique<rpc::Server>(life->node, life->log);
    server->add_target(*life->oss, {bench.options.cluster, bench.options.target, life->oss->boot_epoch()});
    std::string bound;
    REQUIRE(server->listen(port.plugin.transport(), "oss:1", &bound).ok());
  }
  ~Serving() {
    life->node.kill();
    port.plugin.kill();
    life->tasks.reset();
    server.reset();
  }
  Task<> start_port() {
    const Status started = co_await port.plugin.start();
    RIDEAU_HOLDS(started.ok());
  }
  std::unique_ptr<OssLife> life;
  Port port;
  std::unique_ptr<rpc::Server> server;
};

struct Writer {
  Writer(OssBench& bench, sim::SimNetwork& network)
      : node(bench.world, "client"),
        tasks(std::make_unique<TaskGroup>(node)),
        port(network, node, log),
        plane(std::make_unique<client::DataPlane>(node, *tasks, client::DataOptions{})),
        events(*plane) {
    rpc::SessionOptions options{"oss:1", bench.options.cluster, 7, kTestCluster, "writer"};
    run(start_port());
    session = std::make_unique<rpc::ClientSession>(node, port.plugin.transport(), log, events, options);
    plane->add_target(7, *session);
  }
  ~Writer() {
    node.kill();
    port.plugin.kill();
    tasks.reset();
    plane.reset();
    session.reset();
  }
  Task<> start_port() {
    const Status started = co_await port.plugin.start();
    RIDEAU_HOLDS(started.ok());
  }
  void run(Task<> task) {
    bool done = false;
    tasks->spawn(finish(std::move(task), done));
    REQUIRE(node.world().run_until([&] { return done; }, node.world().now_ns() + 600 * kSecond) ==
            sim::SimWorld::End::done);
  }
  static Task<> finish(Task<> task, bool& done) {
    co_await std::move(task);
    done = true;
  }
  MemoryLogger log;
  sim::SimRuntime node;
  std::unique_ptr<TaskGroup> tasks;
  Port port;
  std::unique_ptr<client::DataPlane> plane;
  Events events;
  std::unique_ptr<rpc::ClientSession> session;
};

std::vector<std::uint8_t> pattern(std::uint64_t size, std::uint64_t seed) {
  sim::Random random(seed);
  std::vector<std::uint8_t> made(size);
  for (std::uint8_t& byte : made) byte = static_cast<std::uint8_t>(random.next());
  return made;
}

Task<> write_all(Writer& writer, client::FileData& file, std::vector<std::uint8_t> bytes) {
  if (!writer.session->connected()) {
    const Status connected = co_await writer.session->connect();
    RIDEAU_HOLDS(connected.ok());
  }
  for (std::uint64_t at = 0; at < bytes.size();) {
    const std::uint64_t size = std::min<std::uint64_t>(200'000, bytes.size() - at);
    const IoVec part{bytes.data() + at, size};
    const Result<std::uint64_t> done = co_await file.write(at, &part, 1);
    RIDEAU_HOLDS(done.ok() && *done == size);
    at += size;
  }
}

// `written`: bytes that are no hole.
Task<> sync_and_compare(client::FileData& file, const std::vector<std::uint8_t>& bytes, std::uint64_t written) {
  const Status synced = co_await file.sync();
  RIDEAU_HOLDS(synced.ok());
  file.drop();
  std::vector<std::uint8_t> got(bytes.size());
  const IoVec room{got.data(), got.size()};
  const Result<std::uint64_t> done = co_await file.read(0, &room, 1, bytes.size());
  RIDEAU_HOLDS(done.ok() && *done == bytes.size());
  RIDEAU_HOLDS(got == bytes);
  const Result<client::FileData::ObjectsStat> stat = co_await file.stat_objects();
  RIDEAU_HOLDS(stat.ok() && stat->size == bytes.size());
  RIDEAU_HOLDS(file.blocks_hint() >= written / 512);
}

Task<> cut(client::FileData& file, std::uint64_t old_size, std::uint64_t size) {
  const Status done = co_await file.truncate(old_size, size);
  RIDEAU_HOLDS(done.ok());
}

fs::Layout one_target() {
  fs::Layout layout;
  layout.stripe_size = 1 << 20;
  layout.targets = {7};
  return layout;
}

Task<> fence(OssLife& life, Uuid client, std::uint64_t session) {
  fs::ObjectFenceRequest request;
  request.client = client;
  request.target = 1;
  request.session = session;
  const Status fenced = co_await life.oss->fence(request);
  RIDEAU_HOLDS(fenced.ok());
}

}  // namespace

TEST_CASE("bytes go through client, wire and target and come back") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    OssBench bench(seed);
    sim::SimNetwork network(bench.world);
    Serving serving(bench, network);
    Writer writer(bench, network);
    const auto file = writer.plane->file(5, one_target());
    std::vector<std::uint8_t> bytes = pattern(5'000'000, seed);
    writer.run(write_all(writer, *file, bytes));
    writer.run(sync_and_compare(*file, bytes, bytes.size()));
    writer.run(cut(*file, bytes.size(), 1'234'567));
    bytes.resize(1'234'567);
    writer.run(sync_and_compare(*file, bytes, bytes.size()));
    writer.run(cut(*file, bytes.size(), 2'000'000));
    bytes.resize(2'000'000);
    writer.run(sync_and_compare(*file, bytes, 1'234'567));
    CHECK(file->take_error().ok());
  }
}

TEST_CASE("a fenced client writes nothing until it has new locks, also when the target restarts (S47, S53)") {
  for (const bool restarts : {false, true}) {
    OssBench bench(11);
    sim::SimNetwork network(bench.world);
    auto serving = std::make_unique<Serving>(bench, network);
    Writer writer(bench, network);
    writer.session->set_lock_sessions({{1, 100}});
    const auto file = writer.plane->file(5, one_target());
    const std::vector<std::uint8_t> before = pattern(300'000, 1);
    writer.run(write_all(writer, *file, before));
    writer.run(sync_and_compare(*file, before, before.size()));
    // Its next bytes are only in its cache when others get what it had locked.
    const std::vector<std::uint8_t> late = pattern(300'000, 2);
    writer.run(write_all(writer, *file, late));
    serving->life->run(fence(*serving->life, kTestCluster, 100));
    if (restarts) {
      serving.reset();
      serving = std::make_unique<Serving>(bench, network);
    }
    bool flushed = false;
    writer.tasks->spawn([](client::FileData& data, bool& done) -> Task<> {
      const Status status = co_await data.flush();
      static_cast<void>(status);
      done = true;
    }(*file, flushed));
    writer.node.world().run_for(30 * kSecond);
    CHECK(!writer.session->connected());
    CHECK(writer.log.contains("given this client's locks to others"));
    // It learns of it: what was begun before goes nowhere, also now that it is let in.
    writer.plane->discard_all();
    writer.session->set_lock_sessions({{1, 101}});
    REQUIRE(writer.node.world().run_until([&] { return flushed && writer.session->connected(); },
                                          writer.node.world().now_ns() + 100 * kSecond) == sim::SimWorld::End::done);
    static_cast<void>(file->take_error());
    const auto again = writer.plane->file(6, one_target());
    writer.run(write_all(writer, *again, before));
    writer.run(sync_and_compare(*again, before, before.size()));
    std::string stored;
    REQUIRE(bench.object_disk->read(fs::object_id(5, 0, 0), 0, before.size(), &stored));
    CHECK(stored == std::string(before.begin(), before.end()));
  }
}

TEST_CASE("what a fenced client has changed survives a power cut: it could not make it again") {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    OssBench bench(seed);
    sim::SimNetwork network(bench.world);
    auto serving = std::make_unique<Serving>(bench, network);
    Writer writer(bench, network);
    writer.session->set_lock_sessions({{1, 100}});
    const auto file = writer.plane->file(5, one_target());
    const std::vector<std::uint8_t> bytes = pattern(300'000, seed);
    writer.run(write_all(writer, *file, bytes));
    writer.run([](client::FileData& data) -> Task<> {
      const Status flushed = co_await data.flush();
      RIDEAU_HOLDS(flushed.ok());
    }(*file));
    serving->life->run(fence(*serving->life, kTestCluster, 100));
    serving.reset();
    bench.object_disk->power_cut(seed);
    std::string stored;
    REQUIRE(bench.object_disk->read(fs::object_id(5, 0, 0), 0, bytes.size(), &stored));
    CHECK(stored == std::string(bytes.begin(), bytes.end()));
  }
}

TEST_CASE("the power of a target is cut: what was not durable comes again from the cache (S46)") {
  OssBench bench(9);
  sim::SimNetwork network(bench.world);
  auto serving = std::make_unique<Serving>(bench, network);
  Writer writer(bench, network);
  const auto file = writer.plane->file(5, one_target());
  const std::vector<std::uint8_t> bytes = pattern(3'000'000, 9);
  writer.run(write_all(writer, *file, bytes));
  serving.reset();
  bench.index_disk->power_cut(1);
  bench.object_disk->power_cut(1);
  serving = std::make_unique<Serving>(bench, network);
  // The session finds out by itself, while it pings or when it is used.
  writer.run(sync_and_compare(*file, bytes, bytes.size()));
  CHECK(file->take_error().ok());
}

}  // namespace rideau::oss
