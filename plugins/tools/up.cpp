// SPDX-License-Identifier: Apache-2.0
// `rideau up` and `rideau down`: a whole cluster on one machine.
#include "framework/config/plugin_values.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/tools/cluster_keys.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/devices.hpp"
#include "plugins/tools/mount_table.hpp"
#include "plugins/tools/ports.hpp"
#include "plugins/tools/probe.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/progress.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include <sys/stat.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

constexpr std::uint32_t kStartMs = 30'000;
constexpr std::uint32_t kStopMs = 20'000;

int not_in_this_version(const std::string& what) {
  std::fprintf(stderr, "%s: not in this version\n", what.c_str());
  return kUsage;
}

std::string transport_of(const UpOptions& options) {
  if (!options.transport.empty()) return options.transport;
  return options.single_process ? "inproc" : "tcp";
}

// Keys for a new cluster on this machine, and what its transport is told of them.
bool make_keys(const std::string& folder, Runtime& runtime, NewCluster* cluster, std::string* why) {
  const auto text = [cluster](const char* key, const std::string& value) {
    cluster->transport_values.push_back({.key = key, .text = value});
  };
  const std::string keys = folder + "/keys";
  const std::int64_t now = now_seconds(runtime);
  if (cluster->transport == "zmq") {
    text("key_file", "keys/cluster.curve");
    return make_folder(keys, why) && make_curve_file(keys + "/cluster.curve", why);
  }
  text("certificate", "keys/node.pem");
  text("key", "keys/node.key");
  text("authority", "keys/authority.pem");
  cluster->transport_values.push_back({.key = "local", .kind = RawValue::Kind::boolean});
  NodeKeyWish node;
  node.name = "node";
  node.addresses = {"127.0.0.1", "::1", "localhost"};
  node.lifetime = {now, kNodeDays};
  return make_authority_files(keys, "Rideau cluster " + cluster->name, {now, kAuthorityDays}, why) &&
         make_node_files(keys, node, why);
}

// A cluster that is there already is not changed by `up`; who asks for encryption must not believe that it was.
bool is_encrypted(const ClusterConfig& cluster) {
  const auto is_key = [](const RawValue& value) {
    return (value.key == "certificate" || value.key == "key_file") && !value.text.empty();
  };
  const auto has_key = [&is_key](const Way& way) {
    return std::any_of(way.transport.values.begin(), way.transport.values.end(), is_key);
  };
  return std::all_of(cluster.nodes.begin(), cluster.nodes.end(), [&has_key](const NodeConfig& node) {
    return std::all_of(node.ways.begin(), node.ways.end(), has_key);
  });
}

// Objects in LMDB are objects in the index, which is one.
std::string objects_of(const UpOptions& options) {
  return options.objects == "lmdb" && options.index == "lmdb" ? "index-objects" : options.objects;
}

int check_wishes(const UpOptions& options, const PluginCatalog& catalog) {
  if (!options.single_process && options.transport == "inproc") {
    std::fprintf(stderr, "--transport inproc reaches no other process: add --single-process, or choose tcp\n");
    return kUsage;
  }
  if (const std::string via = transport_of(options); options.encrypt && via != "tcp" && via != "zmq") {
    std::fprintf(stderr, "--encrypt: %s cannot; --transport tcp and zmq can\n", via.c_str());
    return kUsage;
  }
  if (options.mds_count != 1) return not_in_this_version("--mds " + std::to_string(options.mds_count));
  const std::string transport = transport_of(options);
  const std::string objects = objects_of(options);
  const struct {
    PluginKind kind;
    const char* option;
    const std::string& name;
  } wishes[] = {{PluginKind::transport, "--transport", transport},
                {PluginKind::index_store, "--index", options.index},
                {PluginKind::object_store, "--objects", objects}};
  for (const auto& wish : wishes) {
    const LoadResult found = catalog.find(wish.kind, wish.name);
    if (found.ok()) continue;
    if (found.status.code != Code::not_found) {
      std::fprintf(stderr, "%s\n", found.message.c_str());
      return kFailed;
    }
    return not_in_this_version(std::string(wish.option) + " " + wish.name);
  }
  std::map<std::string, std::string> devices;
  std::string why;
  if (!parse_devices(options.devices, options.oss_count, &devices, &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kUsage;
  }
  if (!devices.empty() && options.objects != "block-device") {
    std::fprintf(stderr, "--device needs a store that uses one: --objects block-device\n");
    return kUsage;
  }
  return kDone;
}

int write_new_cluster(const UpOptions& options, const std::string& folder, const std::string& file) {
  NewCluster cluster;
  cluster.name = folder.substr(folder.rfind('/') + 1);
  RealRuntime runtime;
  std::array<std::uint8_t, 16> random{};
  runtime.random(MutableBytes(random.data(), random.size()));
  cluster.uuid = make_uuid(random);
  cluster.transport = transport_of(options);
  cluster.single_process = options.single_process;
  cluster.index = options.index;
  cluster.objects = objects_of(options);
  const std::size_t count = options.mds_count + options.oss_count;
  const std::size_t listeners = options.single_process ? 1 : count;
  const std::vector<std::uint16_t> ports = free_ports(runtime, listeners);
  if (ports.size() != listeners) {
    std::fprintf(stderr, "no free ports on 127.0.0.1 for %zu servers\n", listeners);
    return kFailed;
  }
  std::map<std::string, std::string> devices;
  std::string why;
  parse_devices(options.devices, options.oss_count, &devices, &why);
  for (std::uint32_t i = 0; i < count; ++i) {
    NewCluster::Server server;
    const bool mds = i < options.mds_count;
    server.name = mds ? "mds" + std::to_string(i) : "oss" + std::to_string(i - options.mds_count);
    server.role = mds ? Role::mds : Role::oss;
    server.id = i + 1;
    server.listen = {"127.0.0.1:" + std::to_string(ports[std::min<std::size_t>(i, listeners - 1)])};
    // A place of its own in whatever process opens this file system.
    if (cluster.transport == "inproc") server.listen = {to_text(cluster.uuid) + ":1"};
    if (const auto device = devices.find(server.name); device != devices.end()) server.device = device->second;
    cluster.servers.push_back(server);
  }
  if ((options.encrypt && !make_keys(folder, runtime, &cluster, &why)) || !write_cluster_config(file, cluster, &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  return kDone;
}

bool mounts_itself(const NodeConfig& node) { return node.has(Role::client) && !node.targets.empty(); }

std::uint32_t object_targets_of(const ClusterConfig& cluster) {
  std::uint32_t count = 0;
  for (const NodeConfig& node : cluster.nodes) {
    for (const TargetConfig& target : node.targets) count += target.role == Role::oss ? 1 : 0;
  }
  return count;
}

// What was typed shapes new clusters, and lets one that is there grow; in everything else that one has to agree, or
// somebody would believe that it changed.
bool agrees(const UpOptions& options, const ClusterConfig& cluster) {
  std::set<std::string> transports;
  std::set<std::string> indexes;
  std::set<std::string> stores;
  for (const NodeConfig& node : cluster.nodes) {
    if (!node.targets.empty()) {
      for (const Way& way : node.ways) transports.insert(way.transport.plugin);
    }
    for (const TargetConfig& target : node.targets) {
      indexes.insert(target.index.plugin);
      if (target.role == Role::oss) stores.insert(target.objects.plugin);
    }
  }
  const bool one_process = std::any_of(cluster.nodes.begin(), cluster.nodes.end(), mounts_itself);
  const std::uint32_t count = object_targets_of(cluster);
  const struct {
    const char* option;
    std::string typed;
    bool is_so;
  } wishes[] = {{"--oss", std::to_string(options.oss_count),
                 one_process ? options.oss_count == count : options.oss_count >= count},
                {"--transport", options.transport, transports.contains(options.transport)},
                {"--index", options.index, indexes.contains(options.index)},
                {"--objects", options.objects, stores.contains(objects_of(options))},
                {"--single-process", "", one_process}};
  for (const auto& wish : wishes) {
    if (!options.given.contains(wish.option) || wish.is_so) continue;
    std::fprintf(stderr,
                 "%s%s%s is for a new cluster, and %s describes another one: leave it out, or choose another --dir\n",
                 wish.option, wish.typed.empty() ? "" : " ", wish.typed.c_str(), cluster.file.c_str());
    return false;
  }
  return true;
}

// More object servers than the file has: it gets them. They are started with the others, and those that run meet them.
int grow_cluster(const UpOptions& options, const ClusterConfig& cluster) {
  const std::uint32_t count = object_targets_of(cluster);
  if (!options.given.contains("--oss") || options.oss_count <= count) return kDone;
  std::uint32_t id = cluster.removed.empty() ? 0 : *std::max_element(cluster.removed.begin(), cluster.removed.end());
  std::set<std::string> addresses;
  for (const NodeConfig& node : cluster.nodes) {
    for (const TargetConfig& target : node.targets) id = std::max(id, target.id);
    for (const Way& way : node.ways) addresses.insert(way.listen);
  }
  RealRuntime runtime;
  const std::size_t listeners = cluster.any_client.ways.size();  // of [defaults], which new servers have too
  // Servers of this cluster that do not run have their ports too.
  const std::vector<std::uint16_t> ports =
      free_ports(runtime, (options.oss_count - count) * listeners + addresses.size());
  std::map<std::string, std::string> devices;
  std::string why;
  parse_devices(options.devices, options.oss_count, &devices, &why);
  NewCluster more;
  more.objects = objects_of(options);
  more.clients = 0;
  auto port = ports.begin();
  for (std::uint32_t i = 0; more.servers.size() < options.oss_count - count; ++i) {
    NewCluster::Server server;
    server.name = "oss" + std::to_string(i);
    if (cluster.find(server.name) != nullptr) continue;
    // Of a server that was taken out: its data stays.
    if (::access((cluster.folder + "/" + server.name).c_str(), F_OK) == 0) continue;
    server.role = Role::oss;
    server.id = ++id;
    while (server.listen.size() < listeners) {
      while (port != ports.end() && addresses.contains("127.0.0.1:" + std::to_string(*port))) ++port;
      if (port == ports.end()) {
        std::fprintf(stderr, "no free ports on 127.0.0.1 for more servers\n");
        return kFailed;
      }
      server.listen.push_back("127.0.0.1:" + std::to_string(*port++));
    }
    if (const auto device = devices.find(server.name); device != devices.end()) server.device = device->second;
    more.servers.push_back(server);
  }
  if (!grow_cluster_config(cluster.file, more, &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  for (const NewCluster::Server& server : more.servers)
    std::printf("%s is new in %s\n", server.name.c_str(), cluster.file.c_str());
  return kDone;
}

struct Started {
  const NodeConfig* node;
  pid_t process;
};

// Starts what does not run and was not started before. A node that is a client too gets the mount point, unless that is
// empty.
bool start_servers(const CommonOptions& common, const ClusterConfig& cluster, const std::string& mount_point,
                   std::vector<Started>* started) {
  std::string why;
  for (const NodeConfig& node : cluster.nodes) {
    const auto is_node = [&node](const Started& server) { return server.node == &node; };
    if (std::any_of(started->begin(), started->end(), is_node)) continue;
    if (node.targets.empty() || living_process(pid_path(cluster.folder, node.name))) continue;
    bool made = node.data.empty() || make_folders(node.data, &why);
    for (const TargetConfig& target : node.targets) made = made && make_folders(target.data, &why);
    std::vector<std::string> words{own_program()};
    for (const std::string& path : common.plugin_paths) words.insert(words.end(), {"--plugin-path", path});
    if (!common.log_level.empty()) words.insert(words.end(), {"--log-level", common.log_level});
    const std::string log = log_path(cluster.folder, node.name);
    words.insert(words.end(), {"serve", "--config", cluster.file, "--node", node.name, "--log-file", log});
    if (mounts_itself(node) && !mount_point.empty()) words.insert(words.end(), {"--mount", mount_point});
    const pid_t process = made ? start_detached(words, log, &why) : 0;
    if (process == 0) {
      std::fprintf(stderr, "node %s: %s\n", node.name.c_str(), why.c_str());
      return false;
    }
    started->push_back({&node, process});
  }
  return true;
}

// Whether what mounts itself has done so, at that place; nothing to wait for without one.
bool mounted_itself(const ClusterConfig& cluster, const std::string& mount_point) {
  for (const NodeConfig& node : cluster.nodes) {
    if (!mounts_itself(node) || mount_point.empty()) continue;
    const auto process = living_process(pid_path(cluster.folder, node.name));
    if (!process || process->detail != mount_point) return false;
  }
  return true;
}

// Waits until every target answers; tells early which process has ended, with the end of its log. A process that was
// killed may look alive for as long as one of its threads waits for a disk: such a node is started once it has gone.
bool await_servers(const CommonOptions& common, const ClusterConfig& cluster, const PluginCatalog& catalog,
                   const std::string& mount_point, std::vector<Started>* started) {
  const std::uint64_t until = clock_ms() + kStartMs;
  Progress progress;
  for (;;) {
    if (!start_servers(common, cluster, mount_point, started)) return false;
    const std::vector<TargetHealth> healths = probe_cluster(cluster, catalog, 200);
    const auto down =
        std::find_if(healths.begin(), healths.end(), [](const TargetHealth& health) { return !health.up; });
    const bool all_up = down == healths.end();
    if (all_up && mounted_itself(cluster, mount_point)) return true;
    progress.tell(all_up ? "waiting for the mount at " + mount_point
                         : "waiting for " + down->node + " at " + down->address);
    for (const Started& server : *started) {
      if (!child_ended(server.process)) continue;
      const std::string log = log_path(cluster.folder, server.node->name);
      std::fprintf(stderr, "node %s does not start. The end of %s:\n%s", server.node->name.c_str(), log.c_str(),
                   last_lines(log, 8).c_str());
      return false;
    }
    if (all_up && clock_ms() >= until) {
      std::fprintf(stderr, "%s is not mounted; `rideau down --dir %s` and `up` again\n", mount_point.c_str(),
                   cluster.folder.c_str());
      return false;
    }
    if (clock_ms() >= until) {
      std::fprintf(stderr, "node %s at %s does not answer: %s; its log is %s\n", down->node.c_str(),
                   down->address.c_str(), down->problem.c_str(), log_path(cluster.folder, down->node).c_str());
      return false;
    }
  }
}

// A mount whose client died answers nothing, not even mkdir.
bool make_mount_point(const std::string& mount_point) {
  std::string why;
  const bool stale = mount_state(mount_point) == MountState::stale;
  if ((!stale || unmount(mount_point, true, &why)) && make_folders(mount_point, &why)) return true;
  std::fprintf(stderr, "%s\n", why.c_str());
  return false;
}

// A process of all roles mounts when it starts, and nobody else can mount what is in it.
bool may_mount_itself(const ClusterConfig& cluster, const std::string& mount_point, bool no_mount) {
  for (const NodeConfig& node : cluster.nodes) {
    if (!mounts_itself(node) || no_mount) continue;
    const auto process = living_process(pid_path(cluster.folder, node.name));
    if (process && process->detail == mount_point) continue;
    if (!process) return make_mount_point(mount_point);
    // It may have been killed a moment ago, or be starting.
    if (process->detail.empty() || mount_state(process->detail) == MountState::stale) continue;
    std::fprintf(stderr, "node %s runs, and not with a mount at %s; `rideau down --dir %s` first\n", node.name.c_str(),
                 mount_point.c_str(), cluster.folder.c_str());
    return false;
  }
  return true;
}

int mount_first_client(const CommonOptions& common, const ClusterConfig& cluster, const std::string& mount_point) {
  if (mount_state(mount_point) == MountState::alive) return kDone;
  if (!make_mount_point(mount_point)) return kFailed;
  MountOptions options;
  options.config = cluster.file;
  options.mount_point = mount_point;
  return mount(common, options);
}

}  // namespace

int up(const CommonOptions& common, const UpOptions& options) {
  const PluginCatalog catalog = make_catalog(common);
  if (const int refused = check_wishes(options, catalog); refused != kDone) return refused;
  const std::string folder = absolute_path(options.folder);
  const std::string mount_point = absolute_path(options.mount_point.empty() ? folder + "/mnt" : options.mount_point);
  if (!options.no_mount && lies_in(folder, mount_point)) {
    std::fprintf(stderr, "the folder of the cluster, %s, lies inside the mount point %s: choose another\n",
                 folder.c_str(), mount_point.c_str());
    return kUsage;
  }
  std::string why;
  if (!make_folders(folder, &why) || !make_folder(run_folder(folder), &why) || !make_folder(log_folder(folder), &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  const std::string file = folder + "/cluster.toml";
  if (::access(file.c_str(), F_OK) != 0) {
    if (const int failed = write_new_cluster(options, folder, file); failed != kDone) return failed;
    std::printf("wrote %s\n", file.c_str());
  }
  ClusterConfig cluster;
  if (!load_config(file, &catalog, &cluster) || !agrees(options, cluster)) return kUsage;
  if (options.encrypt && !is_encrypted(cluster)) {
    std::fprintf(stderr,
                 "%s was there before and has no keys; \"Encryption\" in docs/operations.md tells how it gets some\n",
                 file.c_str());
    return kUsage;
  }
  if (const int failed = grow_cluster(options, cluster); failed != kDone) return failed;
  if (!load_config(file, &catalog, &cluster)) return kUsage;
  if (!may_mount_itself(cluster, mount_point, options.no_mount)) return kFailed;
  std::vector<Started> started;
  const bool up_now = await_servers(common, cluster, catalog, options.no_mount ? std::string() : mount_point, &started);
  if (!up_now) {
    for (const Started& server : started) end_process(pid_path(cluster.folder, server.node->name), kStopMs);
    return kFailed;
  }
  std::vector<std::string> told;
  if (!started.empty() && !tell_nodes_to_reload(cluster, &told)) return kFailed;
  for (const NodeConfig& node : cluster.nodes) {
    if (node.targets.empty()) continue;
    std::string addresses;
    for (const Way& way : node.ways) {
      if (!way.address.empty()) addresses += (addresses.empty() ? "" : ", ") + way.address;
    }
    std::printf("%s is up on %s\n", node.name.c_str(), addresses.c_str());
  }
  if (options.no_mount) return kDone;
  std::fflush(stdout);
  if (std::any_of(cluster.nodes.begin(), cluster.nodes.end(), mounts_itself)) {
    std::printf("mounted at %s\n", mount_point.c_str());
    return kDone;
  }
  const int mounted = mount_first_client(common, cluster, mount_point);
  if (mounted == kDone) std::printf("mounted at %s\n", mount_point.c_str());
  return mounted;
}

int down(const CommonOptions&, const std::string& folder_given) {
  const std::string folder = absolute_path(folder_given);
  ClusterConfig cluster;
  if (!load_config(folder + "/cluster.toml", nullptr, &cluster)) return kUsage;
  int result = kDone;
  std::vector<std::string> clients;
  for (const NodeConfig& node : cluster.nodes) {
    if (node.has(Role::client)) clients.push_back(node.name);
  }
  for (int number = 0; number < 1000; ++number) {
    const std::string name = "client" + std::to_string(number);
    if (std::find(clients.begin(), clients.end(), name) == clients.end() &&
        ::access(pid_path(folder, name).c_str(), F_OK) == 0) {
      clients.push_back(name);
    }
  }
  for (const std::string& name : clients) {
    const auto process = living_process(pid_path(folder, name));
    if (!process) continue;
    const bool mounted = !process->detail.empty() && mount_state(process->detail) == MountState::alive;
    const NodeConfig* node = cluster.find(name);
    if (!mounted && node != nullptr && mounts_itself(*node)) continue;  // it only serves: ended below
    std::string why;
    if (mounted && !unmount(process->detail, false, &why)) {
      std::fprintf(stderr, "%s\n", why.c_str());
      return kFailed;  // somebody works there: the servers stay
    }
    // The client writes what is dirty and ends by itself.
    const std::uint64_t until = clock_ms() + kStopMs;
    while (living_process(pid_path(folder, name)) && clock_ms() < until) pause_ms(10);
    if (end_process(pid_path(folder, name), kStopMs))
      std::fprintf(stderr, "%s had to be stopped by a signal\n", name.c_str());
    if (node != nullptr && mounts_itself(*node)) std::printf("%s stopped\n", name.c_str());
  }
  const std::string own_mount = folder + "/mnt";
  std::string why;
  if (mount_state(own_mount) == MountState::stale && !unmount(own_mount, true, &why))
    std::fprintf(stderr, "%s\n", why.c_str());
  // Metadata first: it still destroys objects as long as the object servers are there.
  for (const Role role : {Role::mds, Role::oss}) {
    for (const NodeConfig& node : cluster.nodes) {
      if (!node.has(role)) continue;
      bool killed = false;
      const bool ended = end_process(pid_path(folder, node.name), kStopMs, &killed);
      if (killed) {
        std::fprintf(stderr, "%s did not stop within %u s and was killed; its log is %s\n", node.name.c_str(),
                     kStopMs / 1000, log_path(folder, node.name).c_str());
      } else if (ended) {
        std::printf("%s stopped\n", node.name.c_str());
      }
      if (living_process(pid_path(folder, node.name))) {
        std::fprintf(stderr, "%s does not end\n", node.name.c_str());
        result = kFailed;
      }
    }
  }
  return result;
}

}  // namespace rideau::tools
