// SPDX-License-Identifier: Apache-2.0
#include "framework/node/transports.hpp"

#include "framework/node/open_plugin.hpp"

namespace rideau {

std::string out_of_reach_text(const ClusterConfig& cluster, const NodeConfig& from, const NodeConfig& server) {
  const auto names = [](const NodeConfig& node, bool serves) {
    std::string text;
    for (const Way& way : node.ways) {
      if (!serves || !way.address.empty()) text += (text.empty() ? "" : ", ") + way.transport.plugin;
    }
    return text;
  };
  return cluster.file + ": " + from.name + " connects over " + names(from, false) + ", and node " + server.name +
         " listens on " + names(server, true) + " alone: `transport` in [defaults] and in [node.NAME] may be a list";
}

bool NodeTransports::is_needed(std::size_t number) const {
  for (const NodeConfig& server : cluster_.nodes) {
    if (server.targets.empty()) continue;
    const std::vector<ChosenWay> ways = ways_between(node_, server);
    if (!ways.empty() && ways.front().number == number) return true;
  }
  return false;
}

Task<Status> NodeTransports::start(const std::string& name, Wanted wanted) {
  const bool all = wanted == Wanted::all;
  instances_.resize(node_.ways.size());
  if (const NodeConfig* far = all ? nullptr : cluster_.out_of_reach(node_); far != nullptr) {
    problem_ = out_of_reach_text(cluster_, node_, *far);
    bad_configuration_ = true;
    co_return Status{Code::invalid, 0, "choose a transport"};
  }
  for (std::size_t number = 0; number < instances_.size(); ++number) {
    if (!all && !is_needed(number)) continue;
    const std::string own = number == 0 ? name : name + std::to_string(number + 1);
    const Status started = co_await start_one(number, own);
    if (!started.ok()) co_return started;
  }
  co_return kOk;
}

Task<Status> NodeTransports::start_one(std::size_t number, const std::string& name) {
  OpenedPlugin opened = open_plugin(runtime_, log_, catalog_, cluster_, node_.ways[number].transport, name);
  if (opened.instance == nullptr) {
    problem_ = opened.problem;
    bad_configuration_ = opened.bad_configuration;
    co_return Status{Code::invalid, 0, "open a plugin"};
  }
  const Status started = co_await opened.instance->start();
  if (!started.ok()) {
    problem_ = opened.instance->message();
    co_return started;
  }
  instances_[number] = std::move(opened.instance);
  co_return kOk;
}

Task<Status> NodeTransports::stop() {
  Status all = kOk;
  for (auto& instance : instances_) {
    if (instance == nullptr) continue;
    const Status stopped = co_await instance->stop();
    if (!stopped.ok()) log_.error("%s", instance->message().c_str());
    if (all.ok()) all = stopped;
  }
  instances_.clear();
  co_return all;
}

bool NodeTransports::offer(SharedMemory& memory) {
  bool used = false;
  for (const auto& instance : instances_) {
    if (instance != nullptr && instance->transport().offer(memory)) used = true;
  }
  return used;
}

NodeTransports::Reached NodeTransports::reach(const NodeConfig& to) const {
  for (const ChosenWay& way : ways_between(node_, to)) {
    if (way.number < instances_.size() && instances_[way.number] != nullptr) return {&at(way.number), way.address};
  }
  return {};
}

}  // namespace rideau
