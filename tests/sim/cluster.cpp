// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/cluster.hpp"

#include "framework/plugin_host/catalog.hpp"
#include "framework/plugin_host/host.hpp"
#include "framework/runtime/await.hpp"
#include "plugins/check/checker.hpp"
#include "plugins/check/servers.hpp"
#include "plugins/check/stores.hpp"
#include "plugins/roles/roles.hpp"
#include "tests/sim/message_text.hpp"
#include "tests/sim/sim_memory_gauge.hpp"

#include <cstdint>

#include <algorithm>

namespace rideau::sim {
namespace {

constexpr std::uint32_t kMetaTarget = 1;
// How keys of sessions and slots begin in the index of a metadata target and of an object target.
constexpr std::string_view kSessionKeys[] = {"\x15", "s"};
constexpr std::string_view kSlotKeys[] = {"\x16", "l"};

RawValue address_value(const char* key, const void* address) {
  RawValue value;
  value.key = key;
  value.kind = RawValue::Kind::integer;
  value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(address));
  return value;
}

PluginChoice simulated(PluginKind kind, const std::string& key, const RawValue& value) {
  PluginChoice choice;
  choice.kind = kind;
  choice.plugin = "sim";
  choice.key = key;
  choice.values.push_back(value);
  return choice;
}

SimRuntimeOptions clock_of(SimWorld& world) {
  SimRuntimeOptions options;
  options.clock_start_ns = world.random().below(1'000'000 * kSecond);
  options.wall_offset_ns =
      static_cast<std::int64_t>(world.random().below(4 * kSecond)) - static_cast<std::int64_t>(2 * kSecond);
  return options;
}

Uuid random_uuid(SimWorld& world) {
  std::array<std::uint8_t, 16> bytes{};
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(world.random().next());
  return make_uuid(bytes);
}

NetworkOptions network_of(SimWorld& world) {
  Random& random = world.random();
  NetworkOptions options;
  options.delay_ns_max = random.between(20 * kMicrosecond, 500 * kMicrosecond);
  options.late_percent = static_cast<std::uint32_t>(random.below(10));
  // From "all bulk" to "all eager".
  static const std::uint32_t kEager[] = {0, 4096, 65'536, 1u << 20};
  options.limits.eager_bytes_max = kEager[random.below(4)];
  return options;
}

Task<> note_end(Task<Status> task, Status& status, bool& ended) {
  status = co_await std::move(task);
  ended = true;
}
Task<> note_end(Task<> task, bool& ended) {
  co_await std::move(task);
  ended = true;
}

}  // namespace

void TraceLogger::put(Level level, std::string_view line) noexcept {
  world_.trace(node_, "%s: %.*s", level_name(level), static_cast<int>(line.size()), line.data());
}

struct Cluster::Server {
  Server(SimWorld& world, SimNetwork& network, Place& at)
      : name(at.name),
        target(at.target),
        runtime(world, at.name, at.clock),
        log(world, runtime.id()),
        disk(&at.disk),
        tasks(runtime) {
    at.network = {&network, &runtime};
  }
  const std::string name;
  const std::uint32_t target;
  SimRuntime runtime;
  TraceLogger log;
  Disk* disk;
  std::unique_ptr<Node> node;
  TaskGroup tasks;
  Status started{};
  bool done = false;
  bool drain_asked = false;
};

struct Cluster::Client {
  Client(SimWorld& world, SimNetwork& network, const std::string& node_name)
      : name(node_name),
        runtime(world, node_name, clock_of(world)),
        log(world, runtime.id()),
        place{&network, &runtime},
        tasks(runtime) {}
  Task<Status> start() {
    const Status transport_started = co_await transport->start();
    if (!transport_started.ok()) co_return transport_started;
    co_return co_await file_system->start();
  }
  Task<Status> stop() {
    co_await kernel->finish();
    const Status stopped = co_await file_system->stop();
    const Status transport_stopped = co_await transport->stop();
    co_return stopped.ok() ? transport_stopped : stopped;
  }
  const std::string name;
  SimRuntime runtime;
  TraceLogger log;
  SimPlace place;
  std::unique_ptr<PluginInstance> transport;
  std::unique_ptr<SimMemoryGauge> memory;
  std::unique_ptr<client::FileSystem> file_system;
  std::unique_ptr<SimKernel> kernel;
  TaskGroup tasks;
  Status status{};
  bool done = false;
};

// A node with a session to each server, which checks them while they work.
struct Cluster::LiveChecker final : rpc::SessionEvents {
  LiveChecker(SimWorld& world, SimNetwork& network, const ClusterConfig& cluster, Uuid client)
      : runtime(world, "live-check", clock_of(world)),
        log(world, runtime.id()),
        place{&network, &runtime},
        tasks(runtime) {
    PluginInstanceOptions plugin;
    plugin.name = "live-check.transport";
    plugin.guarded = true;
    transport = std::make_unique<PluginInstance>(runtime, log, kSimTransportDescriptor, plugin);
    ConfigValue value;
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&place));
    RIDEAU_ASSERT(transport->create(&value).ok());
    options.cluster = cluster.uuid;
    options.target = kMetaTarget;
    options.live = true;
    for (const NodeConfig& node : cluster.nodes) {
      rpc::SessionOptions to;
      to.address = node.ways.front().address;
      to.cluster = cluster.uuid;
      to.target = node.targets[0].id;
      to.client = client;
      to.client_name = "live-check";
      sessions.push_back(std::make_unique<rpc::ClientSession>(runtime, transport->transport(), log, *this, to));
    }
  }

  Task<Status> run() {
    Status all = co_await transport->start();
    for (auto& session : sessions) {
      if (all.ok()) all = co_await session->connect();
    }
    while (all.ok() && !stop_wanted) all = co_await check_once();
    for (auto& session : sessions) co_await session->close();
    const Status stopped = co_await transport->stop();
    co_return all.ok() ? stopped : all;
  }
  Task<Status> check_once() {
    // So few that much changes between the first and the last.
    constexpr std::uint32_t kRecordsPerPage = 2;
    check::ServerRecords records(*sessions[0], kRecordsPerPage);
    std::vector<check::ServerObjects> sources;
    for (std::size_t i = 1; i < sessions.size(); ++i) {
      sources.emplace_back(kMetaTarget + static_cast<std::uint32_t>(i), *sessions[i]);
    }
    std::vector<check::ObjectSource*> objects;
    for (check::ServerObjects& source : sources) objects.push_back(&source);
    check::Report report;
    const Status checked = co_await check::check(records, objects, options, &report);
    for (const check::Finding& finding : report.findings) {
      found +=
          std::string("the check of running servers: ") + check::kind_name(finding.kind) + ": " + finding.text + "\n";
    }
    co_return checked;
  }
  Task<rpc::CallbackReply> on_callback(std::uint16_t, Bytes, std::uint64_t) override { co_return rpc::CallbackReply{}; }
  void on_new_epoch(std::uint64_t, bool) override {}

  SimRuntime runtime;
  TraceLogger log;
  SimPlace place;
  std::unique_ptr<PluginInstance> transport;
  std::vector<std::unique_ptr<rpc::ClientSession>> sessions;
  check::CheckOptions options;
  bool stop_wanted = false;
  bool done = false;
  Status status{};
  std::string found;
  TaskGroup tasks;
};

Cluster::Cluster(SimWorld& world, ClusterOptions options)
    : world_(world),
      options_(options),
      network_(world, network_of(world)),
      catalog_(
          {{&kSimTransportDescriptor, &kSimIndexDescriptor, &kSimObjectsDescriptor, &kSimBlockStoreDescriptor}, {}}) {
  network_.set_describe([&world](Bytes head, NodeId from, NodeId to) {
    const auto serves_objects = [&world](NodeId node) { return world.node_name(node).starts_with("oss"); };
    return message_text(head, serves_objects(from) || serves_objects(to));
  });
  Random& random = world.random();
  config_.file = "cluster.toml";
  config_.folder = "/";
  config_.name = "sim";
  config_.uuid = random_uuid(world);
  config_.guard_plugins = true;
  config_.stripe_count = static_cast<std::uint32_t>(random.below(3));
  config_.stripe_size = 64 * 1024;
  // Most files begin inline, and cross the limit soon.
  config_.inline_max =
      random.chance(10) ? 0 : std::min<std::uint64_t>(4096ull << random.below(5), ClusterConfig::kInlineMax);
  for (std::uint32_t i = 0; i <= options.object_servers; ++i) {
    places_.push_back(std::make_unique<Place>());
    Place& place = *places_.back();
    place.name = i == 0 ? "mds0" : "oss" + std::to_string(i - 1);
    place.role = i == 0 ? Role::mds : Role::oss;
    place.target = kMetaTarget + i;
    place.clock = clock_of(world);
    place.disk.device.settings.small_object_max = options_.small_object_max;
    place.disk.device.settings.deferred_write_max = options_.deferred_write_max;
  }
  // In some runs names find room at the metadata server, and the bytes of small files often do not.
  if (random.chance(15)) places_[0]->disk.index.set_bytes_total(random.between(1480, 1600) * 1024);
  config_.nodes.reserve(places_.size());
  for (auto& place : places_) configure(*place);
  for (std::size_t i = 0; i < places_.size(); ++i) servers_.push_back(make_server(i));
}

std::unique_ptr<Cluster::Server> Cluster::make_server(std::size_t number) {
  auto server = std::make_unique<Server>(world_, network_, *places_[number]);
  server->node = std::make_unique<Node>(server->runtime, server->log, catalog_, config_, config_.nodes[number]);
  roles::add_roles(*server->node);
  return server;
}

void Cluster::kill_server(std::size_t number, bool power_cut) {
  Server& server = *servers_[number];
  server.log.info("killed%s", power_cut ? ", and its power is cut" : "");
  server.runtime.kill();
  servers_[number].reset();
  if (!power_cut) return;
  Disk& disk = places_[number]->disk;
  ++places_[number]->clock.machine_boot;
  Random& random = world_.random();
  disk.index.power_cut(random.next());
  if (options_.blocks) {
    disk.device.power_cut(random.next());
  } else {
    disk.objects.power_cut(random.next());
  }
}

void Cluster::restart_server(std::size_t number) {
  servers_[number] = make_server(number);
  Server& server = *servers_[number];
  server.tasks.spawn(note_end(server.node->start(), server.started, server.done));
}

SimRuntime* Cluster::node(std::size_t number) noexcept {
  if (!is_client(number)) return servers_[number] == nullptr ? nullptr : &servers_[number]->runtime;
  const auto& client = clients_[number - servers_.size()];
  return client == nullptr || client->runtime.dead() ? nullptr : &client->runtime;
}

Cluster::Disk& Cluster::disk(std::size_t server) noexcept { return places_[server]->disk; }

void Cluster::kill_client(std::size_t number, bool machine_too) {
  std::unique_ptr<Client>& client = clients_[number - servers_.size()];
  client->log.info("killed%s", machine_too ? ", with its machine" : "");
  client->runtime.kill();
  client->transport->kill();  // what it lent is not taken back any more
  if (!machine_too) client.reset();
}

bool Cluster::is_alive(const Mount& mount) const noexcept {
  return std::any_of(clients_.begin(), clients_.end(), [&mount](const auto& client) {
    return client != nullptr && client->name == mount.name && !client->runtime.dead();
  });
}

bool Cluster::start_failed(std::size_t number) const noexcept {
  return servers_[number]->done && !servers_[number]->started.ok();
}

std::string Cluster::start_problem() const {
  for (const auto& server : servers_) {
    if (server == nullptr || !server->done || server->started.ok()) continue;
    return "start of " + server->name + ": " + server->node->problem();
  }
  return {};
}

// As after a power cut of everything at once: nothing runs any more, then frames and instances go.
Cluster::~Cluster() {
  if (checks_ != nullptr) checks_->runtime.kill();
  for (auto& client : clients_) {
    if (client != nullptr) client->runtime.kill();
  }
  for (auto& server : servers_) {
    if (server != nullptr) server->runtime.kill();
  }
}

void Cluster::configure(Place& place) {
  NodeConfig node;
  node.name = place.name;
  node.roles = {place.role};
  const PluginChoice transport =
      simulated(PluginKind::transport, "node." + place.name + ".transport", address_value("place", &place.network));
  node.ways.push_back({transport, place.name + ":1", place.name + ":1"});
  TargetConfig target;
  target.id = place.target;
  target.role = place.role;
  target.index =
      simulated(PluginKind::index_store, "node." + place.name + ".index", address_value("disk", &place.disk.index));
  if (place.role == Role::oss) {
    target.objects = simulated(
        PluginKind::object_store, "node." + place.name + ".objects",
        options_.blocks ? address_value("disk", &place.disk.device) : address_value("disk", &place.disk.objects));
    if (options_.blocks) target.objects.plugin = kSimBlockStoreDescriptor.name;
  }
  node.targets.push_back(target);
  config_.nodes.push_back(node);
}

Cluster::Client& Cluster::make_client(const std::string& name) {
  Random& random = world_.random();
  clients_.push_back(std::make_unique<Client>(world_, network_, name));
  Client& client = *clients_.back();
  PluginInstanceOptions plugin;
  plugin.name = name + ".transport";
  plugin.guarded = true;
  client.transport = std::make_unique<PluginInstance>(client.runtime, client.log, kSimTransportDescriptor, plugin);
  ConfigValue place;
  place.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&client.place));
  const Status created = client.transport->create(&place);
  RIDEAU_ASSERT(created.ok());
  client::FileSystemOptions options;
  options.cluster = config_.uuid;
  options.client = random_uuid(world_);
  options.client_name = name;
  for (const NodeConfig& node : config_.nodes) {
    const client::TargetAddress address{node.targets[0].id, node.ways.front().address, &client.transport->transport()};
    if (node.has(Role::mds)) {
      options.meta = address;
    } else {
      options.objects.push_back(address);
    }
  }
  // Small caches and short ages, so that every limit is met.
  options.cache_bytes = 256ull * 1024 << random.below(8);
  // With little of it, grants are small and many writes go straight to their targets.
  options.dirty_bytes_max = random.chance(25) ? 16 * 1024 : options.cache_bytes / 2;
  client.memory = std::make_unique<SimMemoryGauge>(client.runtime, 4 * options.cache_bytes);
  options.memory = client.memory.get();
  options.dirty_age_ms = random.between(1, 2000);
  options.read_ahead_bytes = random.chance(30) ? 0 : random.below(1024) * 1024;
  client.file_system = std::make_unique<client::FileSystem>(client.runtime, client.log, options);
  client.kernel = std::make_unique<SimKernel>(client.runtime, *client.file_system, options_.kernel);
  client.file_system->set_kernel_cache(client.kernel.get());
  client.tasks.spawn(note_end(client.start(), client.status, client.done));
  return client;
}

std::string Cluster::wait(const std::function<bool()>& done, const std::string& what, std::uint64_t limit_ns) {
  const SimWorld::End end = world_.run_until(done, world_.now_ns() + limit_ns);
  if (end == SimWorld::End::done) return {};
  return what + (end == SimWorld::End::stuck ? ": nobody goes on; " : ": took too long; ") + describe();
}

std::string Cluster::run(Mount& mount, Task<> task, const char* what) {
  auto ended = std::make_shared<bool>(false);
  mount.tasks->spawn(note_end(std::move(task), *ended));
  return wait([&ended] { return *ended; }, what);
}

void Cluster::begin_drain(std::size_t server, std::uint64_t bytes_per_second) {
  drain_ = {server, bytes_per_second, false};
  keep_draining();
}

void Cluster::keep_draining() {
  Server* mds = servers_[0].get();
  const bool serves = mds != nullptr && mds->done && mds->started.ok() && !mds->runtime.dead();
  if (drain_.server == 0 || drain_.told || !serves || mds->drain_asked) return;
  mds->drain_asked = true;
  const auto ask = [](Server* at, std::uint32_t target, Drain* drain) -> Task<> {
    const std::string problem = co_await at->node->drain(RoleInstance::Drain::begin, target, drain->bytes_per_second);
    drain->told = problem.empty();
  };
  mds->tasks.spawn(ask(mds, places_[drain_.server]->target, &drain_));
}

bool Cluster::is_drained() const {
  constexpr double kDrained = 2;
  if (servers_[0] == nullptr || !servers_[0]->done) return false;
  MetricList figures;
  servers_[0]->node->collect(figures);
  return std::any_of(figures.all().begin(), figures.all().end(), [](const Metric& metric) {
    return std::string_view(metric.name) == "rideau_mds_drain_state" && metric.value == kDrained;
  });
}

std::string Cluster::end_drain() {
  if (drain_.server == 0) return {};
  constexpr std::uint64_t kDrainNs = 900 * kSecond;
  constexpr std::uint64_t kLookNs = 50 * kMillisecond;
  std::uint64_t next_ns = 0;
  const auto look = [&] {
    if (world_.now_ns() < next_ns) return false;
    next_ns = world_.now_ns() + kLookNs;
    keep_draining();
    return is_drained();
  };
  std::string problem = wait(look, "an object server is not drained", kDrainNs);
  const std::uint64_t objects = objects_on(places_[drain_.server]->disk);
  if (problem.empty() && objects != 0) problem = std::to_string(objects) + " objects are on a drained server";
  return problem;
}

std::string Cluster::start() {
  for (auto& server : servers_) server->tasks.spawn(note_end(server->node->start(), server->started, server->done));
  for (auto& server : servers_) {
    std::string problem = wait([&server] { return server->done; }, "start of " + server->name);
    if (!problem.empty()) return problem;
    if (!server->started.ok()) return "start of " + server->name + ": " + server->node->problem();
  }
  mounts_.reserve(options_.clients + 1);
  for (std::uint32_t i = 0; i < options_.clients; ++i) {
    std::string problem;
    if (add_client(&problem) == nullptr) return problem;
  }
  return {};
}

Mount* Cluster::add_client(std::string* problem) {
  Client& client = make_client("client" + std::to_string(clients_.size()));
  *problem = wait([&client] { return client.done; }, "start of " + client.name);
  if (problem->empty() && !client.status.ok()) *problem = "start of " + client.name + ": " + status_text(client.status);
  if (!problem->empty()) return nullptr;
  mounts_.push_back({client.name, &client.runtime, client.kernel.get(), client.file_system.get(), &client.tasks});
  return &mounts_.back();
}

std::string Cluster::stop(bool emptied, bool may_have_lost) {
  // Who died with its machine has no peer that knows of it.
  std::erase_if(clients_, [](const auto& client) { return client == nullptr || client->runtime.dead(); });
  for (auto& client : clients_) {
    client->done = false;
    client->tasks.spawn(note_end(client->stop(), client->status, client->done));
  }
  for (auto& client : clients_) {
    std::string problem = wait([&client] { return client->done; }, "stop of " + client->name);
    if (!problem.empty()) return problem;
    if (!client->status.ok() && !may_have_lost) {
      return "stop of " + client->name + ": " + status_text(client->status);
    }
  }
  constexpr std::uint64_t kKeptNs = limits::kSessionKeptMs * kMillisecond;
  std::string problem = wait([this] { return session_records(true) == 0; },
                             "sessions of clients that are gone do not end", kKeptNs + 60 * kSecond);
  if (problem.empty() && emptied)
    // Those of lost creates are looked for once more when no call of before can make any.
    problem = wait([this] { return empty_stores(); }, "objects of removed files are not destroyed",
                   2 * limits::kCallMs * kMillisecond + 60 * kSecond);
  if (!problem.empty()) return problem + left_behind(emptied);
  for (auto& server : servers_) {
    server->done = false;
    server->tasks.spawn(note_end(server->node->stop(), server->done));
    problem = wait([&server] { return server->done; }, "stop of " + server->name);
    if (!problem.empty()) return problem;
  }
  problem = left_behind(emptied);
  return problem.empty() ? check_stores() : problem;
}

void Cluster::begin_checks() {
  checks_ = std::make_unique<LiveChecker>(world_, network_, config_, random_uuid(world_));
  checks_->tasks.spawn(note_end(checks_->run(), checks_->status, checks_->done));
}

std::string Cluster::end_checks() {
  checks_->stop_wanted = true;
  std::string problem = wait([this] { return checks_->done; }, "the check of running servers");
  if (problem.empty() && !checks_->status.ok()) {
    problem = "the check of running servers: " + status_text(checks_->status);
  }
  return problem.empty() ? checks_->found : problem;
}

// The stores of the servers, which have ended, opened by one more node that only checks.
struct Cluster::Checker {
  Checker(SimWorld& world, const std::vector<std::unique_ptr<Server>>& servers, bool blocks)
      : runtime(world, "check", clock_of(world)),
        log(world, runtime.id()),
        host(runtime, log, "check"),
        tasks(runtime) {
    index = make_sim_index(host, servers[0]->disk->index);
    for (std::size_t i = 1; i < servers.size(); ++i) {
      stores.push_back(blocks ? open_blocks(*servers[i]->disk) : make_sim_objects(host, servers[i]->disk->objects));
      sources.emplace_back(servers[i]->target, *stores.back());
    }
  }
  ~Checker() {
    index->destroy();
    for (ObjectStore* store : stores) store->destroy();
    for (IndexStore* map : maps) map->destroy();
  }
  // A store of blocks, with the index that has its map.
  ObjectStore* open_blocks(Disk& disk) {
    maps.push_back(make_sim_index(host, disk.index));
    store_hosts.push_back(std::make_unique<NodeHost>(runtime, log, "check"));
    store_hosts.back()->wire("index", PluginKind::index_store, *maps.back());
    ConfigValue value;
    value.integer = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(&disk.device));
    Instance* made = nullptr;
    RIDEAU_ASSERT(kSimBlockStoreDescriptor.create(*store_hosts.back(), &value, &made).ok());
    return static_cast<ObjectStore*>(made);
  }
  Task<Status> run(Uuid cluster) {
    Outcome started = co_await submit([this](Completion& done) { return index->start(done); });
    for (IndexStore* map : maps) {
      if (started.ok()) started = co_await submit([map](Completion& done) { return map->start(done); });
    }
    for (ObjectStore* store : stores) {
      if (started.ok()) started = co_await submit([store](Completion& done) { return store->start(done); });
    }
    if (!started.ok()) co_return started.status;
    check::IndexSource meta(*index);
    std::vector<check::ObjectSource*> objects;
    for (check::StoreObjects& source : sources) objects.push_back(&source);
    check::CheckOptions options;
    options.cluster = cluster;
    options.target = kMetaTarget;
    co_return co_await check::check(meta, objects, options, &report);
  }
  SimRuntime runtime;
  TraceLogger log;
  NodeHost host;
  IndexStore* index = nullptr;
  std::vector<std::unique_ptr<NodeHost>> store_hosts;
  std::vector<IndexStore*> maps;
  std::vector<ObjectStore*> stores;
  std::vector<check::StoreObjects> sources;
  check::Report report;
  TaskGroup tasks;
};

std::string Cluster::check_stores() {
  if (options_.kernel.bug == KernelBug::rots_record) servers_[0]->disk->index.flip_bit(world_.random().next());
  Checker checker(world_, servers_, options_.blocks);
  Status status;
  bool done = false;
  checker.tasks.spawn(note_end(checker.run(config_.uuid), status, done));
  std::string problem = wait([&done] { return done; }, "the file system check");
  if (problem.empty() && !status.ok()) problem = "the file system check: " + status_text(status);
  checker.runtime.kill();
  if (!problem.empty()) return problem;
  for (const check::Finding& finding : checker.report.findings) {
    problem += std::string("the file system check: ") + check::kind_name(finding.kind) + ": " + finding.text + "\n";
  }
  return problem;
}

// Of a store of blocks: those that its index knows, which is where they are gone when their removal is durable.
std::uint64_t Cluster::objects_on(const Disk& disk) const {
  return options_.blocks ? disk.index.count_with("Bo") : disk.objects.sizes().size();
}

bool Cluster::empty_stores() const {
  return std::all_of(places_.begin(), places_.end(),
                     [this](const auto& place) { return objects_on(place->disk) == 0; });
}

std::uint64_t Cluster::session_records(bool of_clients) const {
  std::uint64_t count = 0;
  for (const auto& place : places_) {
    if (of_clients && place->role != Role::mds) continue;  // where the metadata server has a session as well
    const int kind = place->role == Role::mds ? 0 : 1;
    count += place->disk.index.count_with(kSessionKeys[kind]) + place->disk.index.count_with(kSlotKeys[kind]);
  }
  return count;
}

std::string Cluster::left_behind(bool emptied) const {
  std::string text;
  for (const auto& place : places_) {
    const Disk& disk = place->disk;
    if (!emptied) break;
    if (options_.blocks && objects_on(disk) != 0) text += " " + std::to_string(objects_on(disk)) + " objects;";
    for (const auto& [id, size] : disk.objects.sizes()) {
      text += " object " + std::to_string(id.high) + "." + std::to_string(id.low) + " of " + std::to_string(size) +
              " bytes;";
    }
  }
  if (const std::uint64_t records = session_records(false); records != 0) {
    text += " " + std::to_string(records) + " records of sessions and slots;";
  }
  if (network_.regions() != 0) text += " " + std::to_string(network_.regions()) + " lent regions;";
  if (network_.loans() != 0) text += " " + std::to_string(network_.loans()) + " lent heads;";
  if (network_.links() != 0) text += " " + std::to_string(network_.links()) + " links;";
  return text.empty() ? text : "left behind:" + text;
}

std::string Cluster::describe() const {
  std::string text;
  for (const auto& client : clients_) {
    if (client != nullptr) text += client->name + ": " + client->kernel->describe() + "\n";
  }
  return text;
}

}  // namespace rideau::sim
