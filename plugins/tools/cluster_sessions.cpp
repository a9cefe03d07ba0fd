// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/cluster_sessions.hpp"

#include "framework/node/open_plugin.hpp"
#include "framework/runtime/runtime.hpp"

#include <array>

namespace rideau::tools {

ClusterSessions::ClusterSessions(Runtime& runtime, Logger& log, const PluginCatalog& catalog,
                                 const ClusterConfig& cluster, std::string client_name)
    : runtime_(runtime), log_(log), catalog_(catalog), cluster_(cluster), client_name_(std::move(client_name)) {
  std::array<std::uint8_t, 16> random{};
  runtime.random(MutableBytes(random.data(), random.size()));
  client_ = make_uuid(random);
}

Task<bool> ClusterSessions::open() {
  for (const TargetPlace& place : targets_of(cluster_)) {
    const bool opened = co_await open_one(place);
    if (!opened) co_return false;
  }
  co_return true;
}

Task<bool> ClusterSessions::open_one(TargetPlace place) {
  const std::string who = place.node->name + " (target " + std::to_string(place.target->id) + ")";
  const CommandWay way = way_of_commands(cluster_, *place.node);
  OpenedPlugin opened = open_plugin(runtime_, log_, catalog_, cluster_, *way.transport, who + ".transport");
  if (opened.instance == nullptr) {
    problem_ = opened.problem;
    co_return false;
  }
  const Status started = co_await opened.instance->start();
  if (!started.ok()) {
    problem_ = opened.instance->message();
    co_return false;
  }
  Member& member = members_.emplace_back();
  member.place = place;
  member.transport = std::move(opened.instance);
  rpc::SessionOptions options;
  options.address = way.address;
  options.cluster = cluster_.uuid;
  options.target = place.target->id;
  options.client = client_;
  options.client_name = client_name_;
  rpc::SessionEvents& events = *this;
  member.session = std::make_unique<rpc::ClientSession>(runtime_, member.transport->transport(), log_, events, options);
  const Status connected = co_await member.session->connect();
  if (!connected.ok()) problem_ = who + " cannot be reached: " + member.session->last_refusal();
  co_return connected.ok();
}

Task<> ClusterSessions::close() {
  for (Member& member : members_) {
    co_await member.session->close();
    const Status stopped = co_await member.transport->stop();
    static_cast<void>(stopped);  // nothing rests on it any more
  }
  members_.clear();
}

}  // namespace rideau::tools
