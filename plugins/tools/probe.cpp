// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/probe.hpp"

#include "framework/node/open_plugin.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/fs/codec.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <memory>

namespace rideau::tools {
namespace {

class QuietEvents final : public rpc::SessionEvents {
 public:
  Task<rpc::CallbackReply> on_callback(std::uint16_t, Bytes, std::uint64_t) override { co_return rpc::CallbackReply{}; }
  void on_new_epoch(std::uint64_t) override {}
};

struct Prober {
  RealRuntime& runtime;
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
    request.deadline_ms = prober.patience_ms + 2000;
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
  OpenedPlugin opened =
      open_plugin(prober.runtime, prober.log, prober.catalog, prober.cluster, node.transport, "status.transport");
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

Task<> probe_all(const Prober& prober, std::vector<TargetHealth>& healths) {
  TaskGroup tasks(prober.runtime);
  for (const NodeConfig& node : prober.cluster.nodes) {
    std::vector<TargetHealth*> here;
    for (TargetHealth& health : healths) {
      if (health.node == node.name) here.push_back(&health);
    }
    if (!here.empty()) tasks.spawn(probe_node(prober, node, here));
  }
  co_await tasks.join();
}

}  // namespace

std::vector<TargetHealth> probe_cluster(const ClusterConfig& cluster, const PluginCatalog& catalog,
                                        std::uint32_t patience_ms) {
  std::vector<TargetHealth> healths;
  for (const TargetPlace& place : targets_of(cluster)) {
    TargetHealth health;
    health.node = place.node->name;
    health.role = place.target->role;
    health.target = place.target->id;
    health.address = place.node->address;
    healths.push_back(health);
  }
  RealRuntime runtime;
  NullLogger log;
  std::array<std::uint8_t, 16> bytes{};
  runtime.random(MutableBytes(bytes.data(), bytes.size()));
  const Prober prober{runtime, log, cluster, catalog, patience_ms, make_uuid(bytes)};
  runtime.run(probe_all(prober, healths));
  return healths;
}

}  // namespace rideau::tools
