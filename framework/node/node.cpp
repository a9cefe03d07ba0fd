// SPDX-License-Identifier: Apache-2.0
#include "framework/node/node.hpp"

#include "framework/node/open_plugin.hpp"

namespace rideau {
namespace {

// Those of the plugin, less what its configuration leaves off: a store whose key "checksums" is false verifies nothing.
std::uint64_t capabilities_of(const PluginInstance& store, const PluginChoice& choice) {
  const PluginDescriptor& plugin = store.descriptor();
  bool checksums = true;
  for (std::uint32_t i = 0; i < plugin.key_count; ++i) {
    const ConfigKey& key = plugin.keys[i];
    if (std::string_view(key.name) == "checksums") checksums = std::string_view(key.default_value) != "false";
  }
  for (const RawValue& value : choice.values) {
    if (value.kind == RawValue::Kind::boolean && value.key == "checksums") checksums = value.integer != 0;
  }
  return checksums ? plugin.capabilities : plugin.capabilities & ~kObjectChecksums;
}

}  // namespace

Node::Node(Runtime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster,
           const NodeConfig& node)
    : runtime_(runtime),
      log_(log),
      catalog_(catalog),
      cluster_(cluster),
      config_(node),
      transports_(runtime, log, catalog, cluster, node) {}
Node::~Node() = default;

void Node::add_role(Role role, RoleFactory factory) { factories_[role] = std::move(factory); }

Status Node::fail(Status status, std::string problem) {
  problem_ = std::move(problem);
  log_.error("%s", problem_.c_str());
  return status;
}

Task<Status> Node::open(std::unique_ptr<PluginInstance>& into, const PluginChoice& choice, std::string name,
                        PluginInstance* index) {
  OpenedPlugin opened = open_plugin(runtime_, log_, catalog_, cluster_, choice, name, index);
  if (opened.instance == nullptr) {
    bad_configuration_ = opened.bad_configuration;
    co_return fail({Code::invalid, 0, "open a plugin"}, opened.problem);
  }
  into = std::move(opened.instance);
  const Status started = co_await into->start();
  if (!started.ok()) {
    const std::string problem = into->message();
    into.reset();
    co_return fail(started, problem);
  }
  co_return kOk;
}

Task<Status> Node::start_target(Target& target) {
  const TargetConfig& config = *target.config;
  const std::string name = config_.name + "." + std::to_string(config.id);
  const Status index = co_await open(target.index, config.index, name + ".index");
  if (!index.ok()) co_return index;
  if (config.role == Role::oss) {
    const Status objects = co_await open(target.objects, config.objects, name + ".objects", target.index.get());
    if (!objects.ok()) co_return objects;
  }
  const auto factory = factories_.find(config.role);
  if (factory == factories_.end()) {
    co_return fail({Code::unsupported, 0, "role"},
                   "target " + name + ": this program has no role " + role_name(config.role));
  }
  const RoleContext context{runtime_,
                            log_,
                            cluster_,
                            config_,
                            config,
                            transports_,
                            target.index->index_store(),
                            target.objects ? &target.objects->object_store() : nullptr,
                            target.objects ? capabilities_of(*target.objects, config.objects) : 0};
  target.role = factory->second(context);
  const Status started = co_await target.role->start();
  if (!started.ok()) {
    co_return fail(started, "target " + std::to_string(config.id) + " (" + role_name(config.role) + ", " + config.data +
                                ") does not start: " + target.role->problem());
  }
  target.started = true;
  server_->add_target(target.role->service(),
                      {cluster_.uuid, config.id, target.role->boot_epoch(), target.role->kept_from()});
  co_return kOk;
}

Task<Status> Node::start() {
  const Status transport = co_await transports_.start(config_.name + ".transport", NodeTransports::Wanted::all);
  if (!transport.ok()) {
    bad_configuration_ = transports_.bad_configuration();
    co_return fail(transport, transports_.problem());
  }
  server_ = std::make_unique<rpc::Server>(runtime_, log_);
  for (const TargetConfig& config : config_.targets) {
    targets_.push_back(std::make_unique<Target>());
    targets_.back()->config = &config;
    const Status started = co_await start_target(*targets_.back());
    if (!started.ok()) co_return started;
  }
  const Status listening = listen();
  if (!listening.ok()) co_return listening;
  for (auto& target : targets_) target->role->on_listening();
  co_return kOk;
}

// On every transport that has an address.
Status Node::listen() {
  for (std::size_t number = 0; number < config_.ways.size(); ++number) {
    const std::string& address = config_.ways[number].listen;
    if (address.empty()) continue;
    std::string bound;
    const Status listening = server_->listen(transports_.at(number), address, &bound);
    if (!listening.ok()) {
      return fail(listening, "node " + config_.name + " cannot listen on " + address + ": " + status_text(listening) +
                                 "; is another process using it? choose another `listen` in " + cluster_.file);
    }
    const bool loopback = bound.rfind("127.", 0) == 0 || bound.rfind("[::1]", 0) == 0;
    log_.info(
        "node %s listens on %s with %s%s", config_.name.c_str(), bound.c_str(),
        config_.ways[number].transport.plugin.c_str(),
        loopback ? ", which this machine alone can reach; `listen` in its configuration chooses another address" : "");
    bound_ += (bound_.empty() ? "" : " ") + bound;
  }
  return kOk;
}

void collect_plugin(MetricList& to, const PluginInstance& plugin) {
  to.counter("rideau_system_calls_total", "System calls by the part that made them.", {{"part", plugin.name()}},
             plugin.counted(Tally::system_calls));
  to.counter("rideau_plugin_copied_bytes_total", "Bytes of payloads that a plugin copied.", {{"part", plugin.name()}},
             plugin.counted(Tally::copied_bytes));
}

void Node::collect(MetricList& to) const {
  if (server_ != nullptr) server_->collect(to);
  for (const auto& transport : transports_.instances()) {
    if (transport != nullptr) collect_plugin(to, *transport);
  }
  for (const auto& target : targets_) {
    for (const PluginInstance* store : {target->index.get(), target->objects.get()}) {
      if (store != nullptr) collect_plugin(to, *store);
    }
    if (target->started) target->role->collect(to);
  }
}

std::vector<rpc::Server::SessionInfo> Node::sessions() const {
  return server_ != nullptr ? server_->sessions() : std::vector<rpc::Server::SessionInfo>{};
}

bool Node::grow(const ClusterConfig& grown, std::string* why) {
  if (!has_grown_only(cluster_, grown, why)) return false;
  for (auto& target : targets_) {
    if (target->started) *why = target->role->refuses(grown);
    if (!why->empty()) return false;
  }
  for (auto& target : targets_) {
    if (target->started) target->role->grow(grown);
  }
  return true;
}

std::vector<std::string> Node::evictions() const {
  std::vector<std::string> all;
  for (const auto& target : targets_) {
    if (!target->started) continue;
    for (std::string& record : target->role->evictions()) all.push_back(std::move(record));
  }
  return all;
}

std::string Node::recovery() const {
  for (const auto& target : targets_) {
    if (!target->started) continue;
    std::string state = target->role->recovery();
    if (!state.empty()) return state;
  }
  return {};
}

Task<Status> Node::backup(ByteSink& to) {
  for (const auto& target : targets_) {
    if (target->config->role != Role::mds || !target->started) continue;
    const Status done = co_await target->role->backup(to);
    co_return done;
  }
  co_return Status{Code::unsupported, 0, "this node has no metadata target that serves"};
}

Task<std::string> Node::drain(RoleInstance::Drain what, std::uint32_t id, std::uint64_t bytes_per_second) {
  for (const auto& target : targets_) {
    if (target->config->role != Role::mds || !target->started) continue;
    std::string problem = co_await target->role->drain(what, id, bytes_per_second);
    co_return problem;
  }
  co_return "this node has no metadata target that serves";
}

bool Node::evict(const Uuid& client, const std::string& reason) {
  return server_ != nullptr && server_->evict(client, reason);
}

Task<> Node::stop() {
  if (server_ != nullptr) co_await server_->stop();
  for (auto& target : targets_) {
    if (target->started) co_await target->role->stop();
    target->role.reset();
    for (PluginInstance* store : {target->objects.get(), target->index.get()}) {
      if (store == nullptr) continue;
      const Status stopped = co_await store->stop();
      if (!stopped.ok()) log_.error("%s", store->message().c_str());
    }
  }
  targets_.clear();
  server_.reset();
  const Status stopped = co_await transports_.stop();
  static_cast<void>(stopped);  // it is in the log
}

}  // namespace rideau
