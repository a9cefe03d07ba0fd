// SPDX-License-Identifier: Apache-2.0
// Node: a process-like unit that serves the targets of one node of the configuration. It opens the transport and the
// stores, hands them to the roles, and listens. What a role is, it learns from factories: the framework knows no files.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "framework/observe/metrics.hpp"
#include "framework/node/transports.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/rpc/server.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace rideau {

class ByteSink;

// A role on one target, as the node drives it.
class RoleInstance {
 public:
  virtual ~RoleInstance() = default;
  virtual Task<Status> start() = 0;  // before the node listens; formats a new target
  virtual rpc::Service& service() = 0;
  virtual std::uint64_t boot_epoch() const = 0;          // after start()
  virtual std::uint64_t kept_from() const { return 0; }  // after start(); rpc::TargetOptions
  // The node listens: the role may call other nodes now.
  virtual void on_listening() = 0;
  // The cluster has more object servers than when the role started, or fewer, or other pools; nothing else of it is
  // different. Empty, or why that cannot be: then nothing is changed.
  virtual std::string refuses(const ClusterConfig&) const { return {}; }
  virtual void grow(const ClusterConfig&) {}
  // Files move away from an object target, or it takes files again, or it is none of the cluster any more. Empty, or
  // why not, for people.
  enum class Drain { begin, cancel, remove };
  virtual Task<std::string> drain(Drain, std::uint32_t /*target*/, std::uint64_t /*bytes_per_second*/) {
    co_return "only a metadata target can do that";
  }
  // The node takes no calls any more, and none runs.
  virtual Task<> stop() = 0;
  virtual void collect(MetricList& to) const = 0;  // after start()
  // Why clients lost their sessions, the newest last; a record each, for people.
  virtual std::vector<std::string> evictions() const { return {}; }
  // How far recovery after a restart has come, for people; empty when there is none.
  virtual std::string recovery() const { return {}; }
  // Everything durable of its index as one stream; unsupported for roles that need none.
  virtual Task<Status> backup(ByteSink& to) = 0;
  virtual std::string problem() const = 0;  // after a failed start
};

struct RoleContext {
  Runtime& runtime;
  Logger& log;
  const ClusterConfig& cluster;
  const NodeConfig& node;
  const TargetConfig& target;
  const NodeTransports& transports;
  IndexStore& index;
  ObjectStore* objects;                // of an oss
  std::uint64_t objects_capabilities;  // Capability; 0: no object store
};
using RoleFactory = std::function<std::unique_ptr<RoleInstance>(const RoleContext&)>;

// Figures of one plugin instance.
void collect_plugin(MetricList& to, const PluginInstance& plugin);

class Node final : public MetricSource {
 public:
  Node(Runtime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster,
       const NodeConfig& node);
  ~Node();
  void add_role(Role role, RoleFactory factory);

  // Everything up and listening, or problem() says what is not; then stop() still has to be called.
  Task<Status> start();
  Task<> stop();
  const std::string& problem() const noexcept { return problem_; }
  bool bad_configuration() const noexcept { return bad_configuration_; }
  const std::string& bound_address() const noexcept { return bound_; }
  // After start(): object servers that `grown` has and the cluster of this node has not take part from now on, those
  // that it lists as removed do no more. False with the reason when anything else of a server differs: that takes
  // effect when its node starts.
  bool grow(const ClusterConfig& grown, std::string* why);
  // Calls, sessions, plugins, roles: what is up of them.
  void collect(MetricList& to) const override;
  std::vector<rpc::Server::SessionInfo> sessions() const;
  // Of the metadata target of this node; unsupported without one.
  Task<Status> backup(ByteSink& to);
  Task<std::string> drain(RoleInstance::Drain what, std::uint32_t target, std::uint64_t bytes_per_second);
  // Of all roles that run.
  std::vector<std::string> evictions() const;
  std::string recovery() const;
  // As rpc::Server::evict.
  bool evict(const Uuid& client, const std::string& reason);

 private:
  struct Target {
    const TargetConfig* config = nullptr;
    std::unique_ptr<PluginInstance> index;
    std::unique_ptr<PluginInstance> objects;
    std::unique_ptr<RoleInstance> role;
    bool started = false;
  };
  Task<Status> open(std::unique_ptr<PluginInstance>& into, const PluginChoice& choice, std::string name,
                    PluginInstance* index = nullptr);
  Task<Status> start_target(Target& target);
  Status listen();
  Status fail(Status status, std::string problem);

  Runtime& runtime_;
  Logger& log_;
  const PluginCatalog& catalog_;
  const ClusterConfig& cluster_;
  const NodeConfig& config_;
  std::map<Role, RoleFactory> factories_;
  NodeTransports transports_;
  std::unique_ptr<rpc::Server> server_;
  std::vector<std::unique_ptr<Target>> targets_;
  std::string bound_;
  std::string problem_;
  bool bad_configuration_ = false;
};

}  // namespace rideau
