// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/probe.hpp"

#include "framework/node/open_plugin.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/fs/codec.hpp"
#include "plugins/tools/control_client.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

namespace rideau::fs {

// Found by the type: how a drain is told to another process.
static void to_json(nlohmann::json& to, const StatFileSystemReply::Drain& from) {
  to = {{"target", from.target},           {"state", static_cast<int>(from.state)}, {"files_moved", from.files_moved},
        {"bytes_moved", from.bytes_moved}, {"files_left", from.files_left},         {"problem", from.problem}};
}
static void from_json(const nlohmann::json& from, StatFileSystemReply::Drain& to) {
  from.at("target").get_to(to.target);
  parse_drain_state(from.at("state").get<std::uint8_t>(), &to.state);
  from.at("files_moved").get_to(to.files_moved);
  from.at("bytes_moved").get_to(to.bytes_moved);
  from.at("files_left").get_to(to.files_left);
  from.at("problem").get_to(to.problem);
}

}  // namespace rideau::fs

namespace rideau::tools {
namespace {

constexpr std::uint32_t kAnswerMs = 2'000;  // for an answer, once the target is connected

class QuietEvents final : public rpc::SessionEvents {
 public:
  Task<rpc::CallbackReply> on_callback(std::uint16_t, Bytes, std::uint64_t) override { co_return rpc::CallbackReply{}; }
  void on_new_epoch(std::uint64_t, bool) override {}
};

struct Prober {
  Runtime& runtime;
  Logger& log;
  const ClusterConfig& cluster;
  const PluginCatalog& catalog;
  std::uint32_t patience_ms;
  Uuid client;
};

Status read_answer(const rpc::Reply& reply, TargetHealth& health) {
  if (!reply.ok()) return reply.status;
  if (health.role == Role::mds) {
    fs::StatFileSystemReply numbers;
    const Status decoded = fs::decode(reply.body, &numbers);
    health.inodes_used = numbers.inodes_used;
    health.inodes_free = numbers.inodes_free;
    health.drains = numbers.drains;
    return decoded;
  }
  fs::ObjectStatFileSystemReply numbers;
  const Status decoded = fs::decode(reply.body, &numbers);
  health.bytes_total = numbers.bytes_total;
  health.bytes_free = numbers.bytes_free;
  health.objects = numbers.objects;
  return decoded;
}

Task<> ask(const Prober& prober, Transport& transport, TargetHealth& health) {
  QuietEvents events;
  rpc::SessionOptions options{health.address, prober.cluster.uuid, health.target,
                              prober.client,  "rideau status",     prober.patience_ms};
  rpc::ClientSession session(prober.runtime, transport, prober.log, events, options);
  const Status connected = co_await session.connect();
  if (!connected.ok()) {
    health.problem = session.last_refusal();
  } else {
    rpc::Request request;
    request.method = static_cast<std::uint16_t>(health.role == Role::mds
                                                    ? static_cast<std::uint16_t>(fs::MetaMethod::stat_file_system)
                                                    : static_cast<std::uint16_t>(fs::ObjectMethod::stat_file_system));
    request.deadline_ms = prober.patience_ms + kAnswerMs;
    rpc::Reply reply = co_await session.call(request);
    const Status answered = read_answer(reply, health);
    reply = {};
    health.up = answered.ok();
    if (!answered.ok()) health.problem = status_text(answered);
    health.version = session.server_version();
    health.boot_epoch = session.boot_epoch();
  }
  co_await session.close();
}

// One transport for all targets that are reached in the same way.
Task<> probe_node(const Prober& prober, const NodeConfig& node, std::vector<TargetHealth*> healths) {
  OpenedPlugin opened = open_plugin(prober.runtime, prober.log, prober.catalog, prober.cluster,
                                    *way_of_commands(prober.cluster, node).transport, "status.transport");
  std::string problem = opened.problem;
  if (opened.instance != nullptr) {
    const Status started = co_await opened.instance->start();
    if (!started.ok()) problem = opened.instance->message();
    if (started.ok()) {
      for (TargetHealth* health : healths) co_await ask(prober, opened.instance->transport(), *health);
      const Status stopped = co_await opened.instance->stop();
      static_cast<void>(stopped);
    }
  }
  if (!problem.empty()) {
    for (TargetHealth* health : healths) health->problem = problem;
  }
}

Uuid new_client(Runtime& runtime) {
  std::array<std::uint8_t, 16> bytes{};
  runtime.random(MutableBytes(bytes.data(), bytes.size()));
  return make_uuid(bytes);
}

std::vector<TargetHealth> unknown_healths(const ClusterConfig& cluster) {
  std::vector<TargetHealth> healths;
  for (const TargetPlace& place : targets_of(cluster)) {
    TargetHealth health;
    health.node = place.node->name;
    health.role = place.target->role;
    health.target = place.target->id;
    health.address = way_of_commands(cluster, *place.node).address;
    healths.push_back(health);
  }
  return healths;
}

// The figures of a target, by the names they have in an answer.
template <class Document, class Use>
void each_figure(TargetHealth& health, Document& document, Use use) {
  use(document["up"], health.up);
  use(document["problem"], health.problem);
  use(document["version"], health.version);
  use(document["boot_epoch"], health.boot_epoch);
  use(document["bytes_total"], health.bytes_total);
  use(document["bytes_free"], health.bytes_free);
  use(document["objects"], health.objects);
  use(document["inodes_used"], health.inodes_used);
  use(document["inodes_free"], health.inodes_free);
  use(document["drains"], health.drains);
}

// A node that is also a client is asked over its control socket first. When it does not run here, its transport may
// still reach it.
Task<> probe_client_node(const Prober& prober, const NodeConfig& node, std::vector<TargetHealth*> healths) {
  const ControlAnswer answer =
      ask_node(prober.cluster.folder, node.name, "GET", "/targets", {}, prober.patience_ms + kAnswerMs);
  if (!answer.ok()) co_await probe_node(prober, node, healths);
  nlohmann::json told = answer.ok() ? nlohmann::json::parse(answer.body, nullptr, false) : nlohmann::json();
  for (TargetHealth* health : healths) {
    const std::string key = std::to_string(health->target);
    if (told.is_object() && told.contains(key)) {
      each_figure(*health, told[key], [](nlohmann::json& from, auto& to) { from.get_to(to); });
    } else if (!health->up) {
      health->problem = answer.body;
    }
  }
}

Task<> probe_all(const Prober& prober, std::vector<TargetHealth>& healths) {
  TaskGroup tasks(prober.runtime);
  for (const NodeConfig& node : prober.cluster.nodes) {
    std::vector<TargetHealth*> here;
    for (TargetHealth& health : healths) {
      if (health.node == node.name) here.push_back(&health);
    }
    if (here.empty()) continue;
    tasks.spawn(node.has(Role::client) ? probe_client_node(prober, node, here) : probe_node(prober, node, here));
  }
  co_await tasks.join();
}

}  // namespace

Task<std::vector<TargetHealth>> probe_own_targets(Runtime& runtime, Logger& log, const ClusterConfig& cluster,
                                                  const PluginCatalog& catalog, const NodeConfig& node) {
  std::vector<TargetHealth> healths = unknown_healths(cluster);
  std::erase_if(healths, [&node](const TargetHealth& health) { return health.node != node.name; });
  std::vector<TargetHealth*> all;
  for (TargetHealth& health : healths) all.push_back(&health);
  const Prober prober{runtime, log, cluster, catalog, kAnswerMs, new_client(runtime)};
  co_await probe_node(prober, node, all);
  co_return healths;
}

std::string to_json(const std::vector<TargetHealth>& healths) {
  nlohmann::json document = nlohmann::json::object();
  for (TargetHealth health : healths) {
    nlohmann::json& target = document[std::to_string(health.target)];
    each_figure(health, target, [](nlohmann::json& to, auto& from) { to = from; });
  }
  return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<TargetHealth> probe_cluster(const ClusterConfig& cluster, const PluginCatalog& catalog,
                                        std::uint32_t patience_ms) {
  std::vector<TargetHealth> healths = unknown_healths(cluster);
  RealRuntime runtime;
  NullLogger log;
  const Prober prober{runtime, log, cluster, catalog, patience_ms, new_client(runtime)};
  runtime.run(probe_all(prober, healths));
  return healths;
}

}  // namespace rideau::tools
