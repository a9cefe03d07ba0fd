// SPDX-License-Identifier: Apache-2.0
// A metadata target that listens on a simulated network, and clients that call it over their sessions.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/rpc/server.hpp"
#include "plugins/fs/codec.hpp"
#include "tests/sim/sim_network.hpp"
#include "tests/unit/mds/fixture.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace rideau::mds {

using namespace fs;

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

struct Client final : rpc::SessionEvents {
  enum class OnRevoke { give_back, keep, silent };

  Client(Fixture& fixture, sim::SimNetwork& network, const std::string& name, std::uint8_t number)
      : id(make_uuid({number})),
        node(fixture.world, name),
        port(network, node, log),
        idle(node),
        grants(node),
        tasks(std::make_unique<TaskGroup>(node)) {
    run(port.plugin.start());
    rpc::SessionOptions options{"mds:1", fixture.options.cluster, fixture.options.target, id, name};
    session = std::make_unique<rpc::ClientSession>(node, port.plugin.transport(), log, *this, options);
    REQUIRE(run(session->connect()).ok());
  }
  ~Client() {
    node.kill();
    port.plugin.kill();
    tasks.reset();
    session.reset();
  }
  Task<rpc::CallbackReply> on_callback(std::uint16_t method, Bytes body, std::uint64_t) override {
    if (method == static_cast<std::uint16_t>(MetaCallback::advisory_locks_granted)) {
      AdvisoryLocksGrantedRequest request;
      CHECK(decode(body, &request).ok());
      if (on_revoke == OnRevoke::silent) co_await idle.wait();
      granted.insert(request.tickets.begin(), request.tickets.end());
      grants.wake_all();
      co_return rpc::CallbackReply{};
    }
    if (on_revoke == OnRevoke::silent) co_await idle.wait();
    if (method == static_cast<std::uint16_t>(MetaCallback::glimpse)) {
      rpc::CallbackReply reply;
      co_await answer_glimpse(body, reply);
      co_return reply;
    }
    RevokeRequest request;
    CHECK(decode(body, &request).ok());
    revokes += request.items.empty() ? 0 : 1;
    if (request.budget != 0) budgets.push_back(request.budget);
    extents_asked += static_cast<int>(request.extents.size());
    if (on_revoke == OnRevoke::give_back) tasks->spawn(unlock(request.items, request.extents));
    co_return rpc::CallbackReply{};
  }
  Task<> answer_glimpse(Bytes body, rpc::CallbackReply& reply) {
    GlimpseRequest request;
    CHECK(decode(body, &request).ok());
    GlimpseReply told;
    for (const LockItem& item : request.items) {
      ++glimpses;
      told.items.push_back(sizes[item.resource]);
    }
    if (before_glimpse) co_await before_glimpse();
    encode(told, reply.body);
  }
  void on_new_epoch(std::uint64_t, bool) override { ++new_epochs; }
  Task<bool> leave() {
    co_await session->close();
    co_return true;
  }
  Task<> unlock(std::vector<LockItem> items, std::vector<ExtentItem> extents = {}) {
    UnlockRequest request;
    request.items = std::move(items);
    request.extents = std::move(extents);
    rpc::Reply reply = co_await call(MetaMethod::unlock, request, false);
    CHECK(reply.ok());
  }
  template <class Request>
  Task<rpc::Reply> call(MetaMethod method, const Request& request, bool modifies) {
    wire::Encoded body;
    encode(request, body);
    rpc::Request raw;
    raw.method = static_cast<std::uint16_t>(method);
    raw.modifies = modifies;
    raw.body = body.bytes();
    if (method == MetaMethod::lock || method == MetaMethod::lock_extent) raw.deadline_ms = rpc::kNoDeadline;
    rpc::Reply reply = co_await session->call(raw);
    co_return std::move(reply);
  }
  template <class T>
  static Task<> store(Task<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    tasks->spawn(store(std::move(task), result));
    REQUIRE(node.world().run_until([&] { return result.has_value(); }, node.world().now_ns() + 900 * kSecond) ==
            sim::SimWorld::End::done);
    return std::move(*result);
  }
  Status lock(lock::Mode mode) {
    LockRequest request;
    request.resource = kRootInode;
    request.mode = static_cast<std::uint32_t>(mode);
    return run(call(MetaMethod::lock, request, false)).status;
  }
  rpc::Reply make(std::string_view name, HandleId handle = 0) {
    MakeRequest request;
    request.parent = kRootInode;
    request.name = name;
    request.mode = S_IFREG | 0600;
    request.open = handle != 0;
    request.open_flags = kOpenWrite;
    request.handle = handle;
    return run(call(MetaMethod::make, request, true));
  }

  const Uuid id;
  MemoryLogger log;
  sim::SimRuntime node;
  Port port;
  WaitQueue idle;
  WaitQueue grants;
  std::set<std::uint64_t> granted;  // tickets
  std::uint64_t tickets = 0;
  std::unique_ptr<TaskGroup> tasks;
  std::unique_ptr<rpc::ClientSession> session;
  OnRevoke on_revoke = OnRevoke::give_back;
  int revokes = 0;
  int extents_asked = 0;
  int glimpses = 0;
  std::map<InodeId, SizeUpdate> sizes;     // of files that it writes, as it tells others
  std::function<Task<>()> before_glimpse;  // it has looked, and its answer is not on its way yet
  std::vector<std::uint64_t> budgets;      // as told
  int new_epochs = 0;
};

// A started target that listens.
struct Served {
  explicit Served(std::uint64_t seed = 1, std::uint64_t locks_max = 1u << 20) : f(seed), network(f.world) {
    f.options.locks_max = locks_max;
    REQUIRE(f.start().ok());
    port = std::make_unique<Port>(network, f.run->runtime, f.log);
    REQUIRE(f.await(port->plugin.start()).ok());
    server = std::make_unique<rpc::Server>(f.run->runtime, f.log);
    server->add_target(f.mds(), {f.options.cluster, f.options.target, f.mds().boot_epoch()});
    std::string bound;
    REQUIRE(server->listen(port->plugin.transport(), "mds:1", &bound).ok());
  }
  ~Served() {
    f.run->runtime.kill();
    f.run->host.kill();
    port->plugin.kill();
    server.reset();
    port.reset();
    f.run.reset();
  }
  Fixture f;
  sim::SimNetwork network;
  std::unique_ptr<Port> port;
  std::unique_ptr<rpc::Server> server;
};

}  // namespace rideau::mds
