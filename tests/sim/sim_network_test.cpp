// SPDX-License-Identifier: Apache-2.0
// The simulated network: messages in order, bulk and its guarantees, refusals, and the faults that later tests drive.
// Two nodes talk through guarded instances, so the plugin contract is checked with each case.
#include "framework/observe/log.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/runtime/await.hpp"
#include "framework/runtime/task_group.hpp"
#include "tests/sim/sim_network.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>
#include <vector>

namespace rideau::sim {
namespace {

// Records what a link receives; gives heads back at once.
class Inbox final : public LinkEvents {
 public:
  LinkEvents* on_link(Link& made) noexcept override {
    link = &made;
    return this;
  }
  Sink on_head(Link& from, MessageLoan loan, std::uint64_t eager_bytes) noexcept override {
    heads.emplace_back(loan.head.view());
    from.give_back(loan);
    eager.resize(eager_bytes);
    part = {eager.data(), eager.size()};
    return eager_bytes > 0 ? Sink{&part, 1} : Sink{};
  }
  void on_eager(Link&, Status status) noexcept override {
    if (status.ok()) payloads.push_back(eager);
  }
  void on_closed(Link& closed, Status why) noexcept override {
    closed_with = why;
    closed_seen = true;
    link = nullptr;
    closed.release();
  }

  Link* link = nullptr;
  std::vector<std::string> heads;
  std::vector<std::string> payloads;
  std::string eager;
  IoVec part;
  Status closed_with{};
  bool closed_seen = false;
};

struct Node {
  Node(SimNetwork& network, const std::string& name) : runtime(network.world(), name), place{&network, &runtime} {
    plugin = std::make_unique<PluginInstance>(runtime, log, kSimTransportDescriptor, PluginInstanceOptions{name, true});
    ConfigValue value;
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&place));
    REQUIRE(plugin->create(&value).ok());
    tasks = std::make_unique<TaskGroup>(runtime);
  }
  void kill() {
    plugin->kill();
    runtime.kill();
    tasks.reset();
    plugin.reset();
  }
  NullLogger log;
  SimRuntime runtime;
  SimPlace place;
  std::unique_ptr<PluginInstance> plugin;
  std::unique_ptr<TaskGroup> tasks;
  Inbox inbox;
};

struct Pair {
  explicit Pair(std::uint64_t seed)
      : world(seed), network(world), server(network, "server"), client(network, "client") {}

  // Runs one coroutine of a node to its end.
  void run(Node& node, Task<> task) {
    node.tasks->spawn(std::move(task));
    REQUIRE(world.run_until([&] { return node.tasks->size() == 0; }, world.now_ns() + 100 * kSecond) ==
            SimWorld::End::done);
  }
  void connect();
  void stop();

  SimWorld world;
  SimNetwork network;
  Node server;
  Node client;
};

Task<> start(Node& node) {
  const Status status = co_await node.plugin->start();
  REQUIRE(status.ok());
}
Task<> stop_node(Node& node) {
  const Status status = co_await node.plugin->stop();
  REQUIRE(status.ok());
}
Task<> connect_to(Node& node, std::string address, Status& status) {
  Link* link = nullptr;
  const Outcome done = co_await submit(
      [&](Completion& c) { return node.plugin->transport().connect(Text(address), node.inbox, &link, c); });
  status = done.status;
  node.inbox.link = link;
}
Task<> send(Node& node, std::string head, std::string eager, Status* status = nullptr) {
  IoVec head_part{head.data(), head.size()};
  IoVec eager_part{eager.data(), eager.size()};
  const Outcome done = co_await submit(
      [&](Completion& c) { return node.inbox.link->send(&head_part, 1, &eager_part, eager.empty() ? 0 : 1, c); });
  if (status != nullptr) *status = done.status;
}
Task<> transfer(Node& node, bool push, RegionKey key, std::uint64_t offset, std::string& local, Status& status) {
  IoVec part{local.data(), local.size()};
  const Outcome done = co_await submit([&](Completion& c) {
    return push ? node.inbox.link->push(key, offset, &part, 1, c) : node.inbox.link->pull(key, offset, &part, 1, c);
  });
  status = done.status;
}
Task<> reclaim(Node& node, Region& region) {
  const Outcome done = co_await submit([&](Completion& c) { return node.inbox.link->reclaim(region, c); });
  REQUIRE(done.ok());
}

void Pair::connect() {
  run(server, start(server));
  run(client, start(client));
  char bound[64];
  std::size_t size = 0;
  REQUIRE(server.plugin->transport().listen("here:0", server.inbox, MutableBytes(bound, sizeof bound), &size).ok());
  Status status;
  run(client, connect_to(client, std::string(bound, size), status));
  REQUIRE(status.ok());
  world.run_until([&] { return server.inbox.link != nullptr; }, world.now_ns() + kSecond);
  REQUIRE(server.inbox.link != nullptr);
}

void Pair::stop() {
  run(client, stop_node(client));
  run(server, stop_node(server));
  REQUIRE(client.inbox.closed_seen);
  REQUIRE(server.inbox.closed_seen);
  REQUIRE(network.links() == 0);
  REQUIRE(network.regions() == 0);
  REQUIRE(network.loans() == 0);
}

}  // namespace

TEST_CASE("messages and their payloads arrive whole and in order, whatever the delays") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Pair pair(seed);
    pair.connect();
    std::vector<std::string> heads;
    std::vector<std::string> payloads;
    for (int i = 0; i < 20; ++i) {
      heads.push_back("head " + std::to_string(i));
      if (i % 3 == 0) payloads.push_back(std::string(static_cast<std::size_t>(100 + i), static_cast<char>('a' + i)));
      pair.client.tasks->spawn(send(pair.client, heads.back(), i % 3 == 0 ? payloads.back() : ""));
    }
    pair.world.run_for(kSecond);
    REQUIRE(pair.server.inbox.heads == heads);
    REQUIRE(pair.server.inbox.payloads == payloads);
    pair.stop();
  }
}

TEST_CASE("bulk: pull and push reach lent memory, and nothing after reclaim") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Pair pair(seed);
    pair.connect();
    std::string memory = "0123456789";
    IoVec part{memory.data(), memory.size()};
    Region* region = nullptr;
    RegionKey key;
    REQUIRE(pair.client.inbox.link->lend(&part, 1, kAccessPull | kAccessPush, &region, &key).ok());
    Status status;
    std::string local(4, ' ');
    pair.run(pair.server, transfer(pair.server, false, key, 3, local, status));
    REQUIRE(status.ok());
    REQUIRE(local == "3456");
    pair.run(pair.server, transfer(pair.server, false, key, 8, local, status));
    REQUIRE(status.code == Code::invalid);
    // A completed push is there before the message that follows it.
    local = "abcd";
    pair.run(pair.server, transfer(pair.server, true, key, 1, local, status));
    REQUIRE(status.ok());
    pair.run(pair.server, send(pair.server, "pushed", ""));
    pair.world.run_until([&] { return !pair.client.inbox.heads.empty(); }, pair.world.now_ns() + kSecond);
    REQUIRE(memory == "0abcd56789");
    // The same memory lent again has another key; the old one reaches nothing.
    pair.run(pair.client, reclaim(pair.client, *region));
    RegionKey second;
    REQUIRE(pair.client.inbox.link->lend(&part, 1, kAccessPull, &region, &second).ok());
    pair.run(pair.server, transfer(pair.server, true, key, 0, local, status));
    pair.run(pair.server, transfer(pair.server, true, second, 0, local, status));
    pair.world.run_for(kSecond);
    REQUIRE(memory == "0abcd56789");
    pair.run(pair.server, transfer(pair.server, false, key, 0, local, status));
    REQUIRE(status.code == Code::not_found);
    pair.run(pair.client, reclaim(pair.client, *region));
    pair.stop();
  }
}

TEST_CASE("an address where nobody listens is refused") {
  Pair pair(5);
  pair.run(pair.client, start(pair.client));
  Status status;
  pair.run(pair.client, connect_to(pair.client, "nowhere:1", status));
  REQUIRE(status.code == Code::refused);
}

TEST_CASE("a cut link closes on both sides and loses what was under way") {
  Pair pair(6);
  pair.connect();
  pair.run(pair.client, send(pair.client, "lost", ""));
  pair.network.cut(pair.client.runtime.id(), pair.server.runtime.id());
  pair.world.run_for(kSecond);
  REQUIRE(pair.server.inbox.heads.empty());
  REQUIRE(pair.server.inbox.closed_seen);
  REQUIRE(pair.client.inbox.closed_seen);
  REQUIRE(pair.network.links() == 0);
}

TEST_CASE("a one-way partition holds back one way only, and a connect into it times out") {
  Pair pair(7);
  pair.connect();
  const NodeId server = pair.server.runtime.id();
  const NodeId client = pair.client.runtime.id();
  pair.network.block(client, server);
  pair.run(pair.client, send(pair.client, "first", ""));
  pair.run(pair.client, send(pair.client, "second", ""));
  pair.run(pair.server, send(pair.server, "back", ""));
  pair.world.run_for(kSecond);
  REQUIRE(pair.server.inbox.heads.empty());
  REQUIRE(pair.client.inbox.heads == std::vector<std::string>{"back"});
  pair.network.set_delays(kMillisecond, 2 * kMillisecond);
  pair.network.unblock(client, server);
  pair.world.run_for(kSecond);
  REQUIRE(pair.server.inbox.heads == std::vector<std::string>{"first", "second"});
  pair.stop();

  Pair parted(8);
  parted.run(parted.server, start(parted.server));
  parted.run(parted.client, start(parted.client));
  char bound[64];
  std::size_t size = 0;
  REQUIRE(parted.server.plugin->transport()
              .listen("here:7", parted.server.inbox, MutableBytes(bound, sizeof bound), &size)
              .ok());
  parted.network.block(server, client);
  Status status;
  parted.run(parted.client, connect_to(parted.client, "here:7", status));
  REQUIRE(status.code == Code::timed_out);
}

TEST_CASE("the peer of a killed node hears that it is gone") {
  Pair pair(10);
  pair.connect();
  pair.run(pair.client, send(pair.client, "hello", ""));
  pair.server.kill();
  pair.world.run_for(kSecond);
  REQUIRE(pair.client.inbox.closed_seen);
  REQUIRE(pair.network.links() == 0);
}

}  // namespace rideau::sim
