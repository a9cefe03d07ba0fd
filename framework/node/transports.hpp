// SPDX-License-Identifier: Apache-2.0
// The transports of one node, in the order in which its configuration prefers them.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/runtime/task.hpp"

#include <memory>
#include <string>
#include <vector>

namespace rideau {

// For people, when `server` is out_of_reach() of `from`.
std::string out_of_reach_text(const ClusterConfig& cluster, const NodeConfig& from, const NodeConfig& server);

class NodeTransports {
 public:
  NodeTransports(Runtime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster,
                 const NodeConfig& node)
      : runtime_(runtime), log_(log), catalog_(catalog), cluster_(cluster), node_(node) {}
  NodeTransports(const NodeTransports&) = delete;
  NodeTransports& operator=(const NodeTransports&) = delete;

  // needed: those alone over which this node reaches servers, of which all must be in reach.
  enum class Wanted { all, needed };
  // Or problem() says what is not there; stop() either way. `name` is of the first instance.
  Task<Status> start(const std::string& name, Wanted wanted);
  Task<Status> stop();  // all, or how the first that failed did

  Transport& at(std::size_t number) const { return instances_.at(number)->transport(); }  // which was started
  // How this node reaches another one: by the first transport that both have, and that was started here.
  struct Reached {
    Transport* transport = nullptr;  // null: not at all
    std::string address;
  };
  Reached reach(const NodeConfig& to) const;
  // As Transport::offer, to all of them. False: none makes use of it.
  bool offer(SharedMemory& memory);
  // Null where an instance was not needed.
  const std::vector<std::unique_ptr<PluginInstance>>& instances() const noexcept { return instances_; }
  const std::string& problem() const noexcept { return problem_; }
  bool bad_configuration() const noexcept { return bad_configuration_; }

 private:
  bool is_needed(std::size_t number) const;
  Task<Status> start_one(std::size_t number, const std::string& name);

  Runtime& runtime_;
  Logger& log_;
  const PluginCatalog& catalog_;
  const ClusterConfig& cluster_;
  const NodeConfig& node_;
  std::vector<std::unique_ptr<PluginInstance>> instances_;
  std::string problem_;
  bool bad_configuration_ = false;
};

}  // namespace rideau
