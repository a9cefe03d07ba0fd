// SPDX-License-Identifier: Apache-2.0
// From the tree of a cluster.toml to a ClusterConfig. What holds between several nodes is in cluster_config_check.cpp.
#include "framework/config/cluster_config.hpp"

#include "framework/base/limits.hpp"
#include "framework/config/cluster_config_check.hpp"
#include "framework/config/document.hpp"
#include "framework/config/plugin_choice.hpp"
#include "framework/config/table_reader.hpp"
#include "framework/observe/log.hpp"

#include <algorithm>
#include <climits>
#include <cstdlib>

namespace rideau {
namespace {

constexpr std::uint64_t kMsInNs = 1'000'000;
constexpr std::uint64_t kDayNs = 86'400'000 * kMsInNs;
constexpr std::uint64_t kRecoveryMaxNs = 600'000 * kMsInNs;
constexpr std::size_t kNodesMax = 4096;
constexpr std::int64_t kTargetIdMax = (1 << 24) - 1;

std::string absolute(const std::string& folder, const std::string& path) {
  if (!path.empty() && path.front() == '/') return path;
  return folder + "/" + path;
}

class Parser {
 public:
  Parser(const ConfigNode& root, ConfigResult* result) : root_(root), result_(*result), config_(result->config) {}

  void run() {
    TableReader file = reader(root_, "");
    read_cluster(file);
    read_defaults(file);
    config_.any_client = defaults_;
    config_.any_client.name = "client";
    config_.any_client.roles = {Role::client};
    if (const ConfigNode* client = file.table("client"); client != nullptr) {
      TableReader table = reader(*client, "client");
      read_client(table, &defaults_.client);
      table.finish();
    }
    config_.any_client.client = defaults_.client;
    read_nodes(file);
    file.finish();
  }

 private:
  TableReader reader(const ConfigNode& table, std::string path) {
    return TableReader(table, std::move(path), config_.file, &result_.problems);
  }

  void read_cluster(TableReader& file) {
    const ConfigNode* cluster = file.table("cluster");
    if (cluster == nullptr) {
      if (root_.find("cluster") == nullptr) file.missing("cluster", "a table with name and uuid");
      return;
    }
    TableReader table = reader(*cluster, "cluster");
    if (table.text("name", &config_.name)) {
      if (!is_plain_name(config_.name)) {
        table.problem(cluster->find("name")->line, "name", "wants letters, digits, '.', '_' and '-', at most 63");
      }
    } else if (cluster->find("name") == nullptr) {
      table.missing("name", "what people call this cluster");
    }
    if (std::string folder; table.text("folder", &folder)) {
      if (!folder.empty() && folder.front() == '/') {
        config_.folder = folder;
        while (config_.folder.size() > 1 && config_.folder.back() == '/') config_.folder.pop_back();
      } else {
        table.problem(cluster->find("folder")->line, "folder", "wants an absolute path");
      }
    }
    std::string uuid;
    if (table.text("uuid", &uuid)) {
      const std::optional<Uuid> parsed = parse_uuid(uuid);
      if (parsed.has_value() && !parsed->is_nil())
        config_.uuid = *parsed;
      else
        table.problem(cluster->find("uuid")->line, "uuid", "wants a UUID as uuidgen prints it");
    } else if (cluster->find("uuid") == nullptr) {
      table.missing("uuid", "the identity of this cluster (uuidgen makes one)");
    }
    read_removed(table);
    table.finish();
  }

  void read_removed(TableReader& table) {
    const ConfigNode* removed = table.any("removed");
    if (removed == nullptr) return;
    if (removed->kind != ConfigNode::Kind::array) {
      table.problem(removed->line, "removed", "wants a list of target ids");
      return;
    }
    for (const ConfigNode& id : removed->items) {
      if (id.kind != ConfigNode::Kind::integer || id.integer < 1 || id.integer > kTargetIdMax) {
        table.problem(id.line, "removed", "wants ids of object targets, from 1 to " + std::to_string(kTargetIdMax));
        continue;
      }
      config_.removed.push_back(static_cast<std::uint32_t>(id.integer));
    }
  }

  // A list of names; one name may stand by itself.
  void read_pools(TableReader& table, TargetConfig* target) {
    const ConfigNode* pools = table.any("pools");
    if (pools == nullptr) return;
    const bool one = pools->kind == ConfigNode::Kind::text;
    if (!one && pools->kind != ConfigNode::Kind::array) {
      table.problem(pools->line, "pools", "wants a list of names");
      return;
    }
    const std::vector<ConfigNode> single = one ? std::vector<ConfigNode>{*pools} : std::vector<ConfigNode>{};
    for (const ConfigNode& name : one ? single : pools->items) {
      const bool good = name.kind == ConfigNode::Kind::text && is_plain_name(name.text) && name.text != "none";
      if (!good) {
        table.problem(name.line, "pools",
                      "wants names of letters, digits, '.', '_' and '-', at most 63, and not \"none\"");
      } else if (std::find(target->pools.begin(), target->pools.end(), name.text) != target->pools.end()) {
        table.problem(name.line, "pools", "names " + name.text + " twice");
      } else {
        target->pools.push_back(name.text);
      }
    }
  }

  // What nodes and files get when they say nothing.
  void read_defaults(TableReader& file) {
    defaults_.ways = {{choice_of(PluginKind::transport, "tcp"), {}, {}}};
    index_ = choice_of(PluginKind::index_store, "lmdb");
    objects_ = choice_of(PluginKind::object_store, "raw-file");
    const ConfigNode* found = file.table("defaults");
    if (found == nullptr) return;
    TableReader table = reader(*found, "defaults");
    std::int64_t count = config_.stripe_count;
    if (table.integer("stripe_count", 0, limits::kStripeCountMax, &count)) {
      config_.stripe_count = static_cast<std::uint32_t>(count);
    }
    if (table.size("stripe_size", limits::kStripeSizeMin, limits::kStripeSizeMax, &config_.stripe_size) &&
        config_.stripe_size % limits::kStripeSizeMin != 0) {
      table.problem(found->find("stripe_size")->line, "stripe_size", "wants a multiple of 64 KiB");
    }
    std::uint64_t inline_max = 0;
    if (table.size("inline", 0, ClusterConfig::kInlineMax, &inline_max)) config_.inline_max = inline_max;
    read_count(table, "locks_max", 1024, &config_.locks_max);
    std::string durability;
    if (table.text("durability", &durability)) {
      config_.commit_first = durability == "commit";
      if (durability != "commit" && durability != "replay") {
        table.problem(found->find("durability")->line, "durability", "wants replay or commit",
                      nearest(durability, {"replay", "commit"}));
      }
    }
    table.duration("recovery", kRecoveryMaxNs, &config_.recovery_ns);
    read_choice(table, "index", &index_);
    read_choice(table, "objects", &objects_);
    read_runtime(table, &defaults_);
    table.finish();
  }

  // Keys that stand in [defaults] and in each node.
  void read_runtime(TableReader& table, NodeConfig* node) {
    read_transports(table, &node->ways);
    std::string level;
    if (table.text("log_level", &level) && !parse_level(level, &node->log_level)) {
      table.problem(table.node().find("log_level")->line, "log_level", "wants debug, info, warning or error",
                    nearest(level, {"debug", "info", "warning", "error"}));
    }
    table.duration("spin", 10 * kMsInNs, &node->spin_ns);
    std::int64_t threads = node->blocking_threads;
    if (table.integer("blocking_threads", 1, 256, &threads))
      node->blocking_threads = static_cast<std::uint32_t>(threads);
    table.boolean("events", &node->events);
    if (table.text("metrics", &node->metrics) && node->metrics == "off") node->metrics.clear();
  }

  void read_client(TableReader& table, ClientSettings* client) {
    table.size("cache", 1u << 20, 1ull << 44, &client->cache_bytes);
    table.size("dirty_max", 1u << 20, 1ull << 44, &client->dirty_bytes_max);
    table.size("unstable_max", 1u << 20, 1ull << 44, &client->unstable_bytes_max);
    table.size("read_ahead", 0, 1ull << 30, &client->read_ahead_bytes);
    read_count(table, "cached_inodes", 1024, &client->cached_inodes);
    table.boolean("default_permissions", &client->default_permissions);
    read_milliseconds(table, "dirty_age", &client->dirty_age_ms);
    if (client->cache_bytes != 0 && client->dirty_bytes_max > client->cache_bytes) {
      table.problem(table.line(), "dirty_max", "is more than cache, which holds dirty data too");
    }
    const std::uint64_t unstable = client->unstable_bytes_max;
    const bool beyond_cache = client->cache_bytes != 0 && unstable > client->cache_bytes;
    if (unstable != 0 && (unstable < client->dirty_bytes_max || beyond_cache)) {
      table.problem(table.line(), "unstable_max", "is not between dirty_max and cache");
    }
  }

  void read_count(TableReader& table, const char* key, std::int64_t least, std::uint64_t* out) {
    std::int64_t count = 0;
    if (table.integer(key, least, 1ll << 32, &count)) *out = static_cast<std::uint64_t>(count);
  }

  void read_milliseconds(TableReader& table, const char* key, std::uint64_t* out_ms) {
    std::uint64_t ns = 0;
    if (!table.duration(key, kDayNs, &ns)) return;
    if (ns % kMsInNs == 0)
      *out_ms = ns / kMsInNs;
    else
      table.problem(table.node().find(key)->line, key, "wants whole milliseconds");
  }

  void read_nodes(TableReader& file) {
    const ConfigNode* nodes = file.table("node");
    if (nodes == nullptr) {
      if (root_.find("node") == nullptr) file.missing("node", "a table [node.NAME] for each node");
      return;
    }
    if (nodes->entries.size() > kNodesMax) {
      file.problem(nodes->line, "node", "has more than " + std::to_string(kNodesMax) + " nodes");
      return;
    }
    for (const ConfigEntry& entry : nodes->entries) {
      const std::string path = "node." + entry.key;
      if (entry.value.kind != ConfigNode::Kind::table) {
        file.problem(entry.value.line, path.c_str(), std::string("wants a table, not ") + kind_name(entry.value.kind));
        continue;
      }
      if (!is_plain_name(entry.key)) {
        file.problem(entry.value.line, path.c_str(), "wants a name of letters, digits, '.', '_' and '-', at most 63");
      }
      TableReader table = reader(entry.value, path);
      read_node(table, entry.key);
      table.finish();
    }
  }

  void read_node(TableReader& table, const std::string& name) {
    NodeConfig node = defaults_;
    node.name = name;
    node.line = table.line();
    read_roles(table, &node);
    read_runtime(table, &node);
    for (Way& way : node.ways) {
      if (way.transport.key.empty()) way.transport.key = table.path_of("transport");
      if (way.transport.line == 0) way.transport.line = table.line();
    }
    if (const ConfigNode* client = table.table("client"); client != nullptr) {
      TableReader settings = reader(*client, table.path() + ".client");
      read_client(settings, &node.client);
      settings.finish();
      if (!node.has(Role::client)) settings.problem(client->line, "", "is for nodes with the role client");
    }
    // Also read when the node serves nothing, so that what is unknown is told from what is misplaced.
    const bool serves = node.has(Role::mds) || node.has(Role::oss);
    std::string data;
    const bool has_data = table.text("data", &data) && !data.empty();
    if (has_data) node.data = absolute(config_.folder, data);
    read_addresses(table, "listen", &Way::listen, &node.ways);
    for (Way& way : node.ways) way.address = way.listen;
    read_addresses(table, "address", &Way::address, &node.ways);
    read_targets(table, &node);
    if (serves) {
      if (table.node().find("listen") == nullptr) table.missing("listen", "an address such as \"127.0.0.1:7400\"");
    } else if (!node.roles.empty()) {
      for (const char* key : {"data", "listen", "address", "id", "index", "objects", "pools", "target"}) {
        const ConfigNode* misplaced = table.node().find(key);
        if (misplaced != nullptr) table.problem(misplaced->line, key, "is for nodes with the role mds or oss");
      }
      node.targets.clear();
    }
    result_.config.nodes.push_back(std::move(node));
  }

  void read_roles(TableReader& table, NodeConfig* node) {
    const ConfigNode* roles = table.any("roles");
    if (roles == nullptr) {
      table.missing("roles", "for example [\"oss\"]");
      return;
    }
    const bool one = roles->kind == ConfigNode::Kind::text;
    if (!one && (roles->kind != ConfigNode::Kind::array || roles->items.empty())) {
      table.problem(roles->line, "roles", "wants a list of mds, oss and client");
      return;
    }
    const std::vector<ConfigNode> single = one ? std::vector<ConfigNode>{*roles} : std::vector<ConfigNode>{};
    for (const ConfigNode& item : one ? single : roles->items) {
      if (item.kind != ConfigNode::Kind::text) {
        table.problem(item.line, "roles", std::string("wants mds, oss or client, not ") + kind_name(item.kind));
        continue;
      }
      bool known = false;
      for (const Role role : {Role::mds, Role::oss, Role::client}) {
        if (item.text != role_name(role)) continue;
        known = true;
        if (node->has(role))
          table.problem(item.line, "roles", "names " + item.text + " twice");
        else
          node->roles.push_back(role);
      }
      if (!known) {
        table.problem(item.line, "roles", "has no role \"" + item.text + "\"",
                      nearest(item.text, {"mds", "oss", "client"}));
      }
    }
  }

  // One target stands in the node itself; several are [[node.NAME.target]].
  void read_targets(TableReader& table, NodeConfig* node) {
    PluginChoice index = index_;
    PluginChoice objects = objects_;
    const ConfigNode* list = table.any("target");
    std::vector<Role> serving;
    for (const Role role : node->roles) {
      if (role != Role::client) serving.push_back(role);
    }
    if (list == nullptr) {
      if (serving.size() > 1) {
        for (const char* key : {"id", "index", "objects", "pools"}) static_cast<void>(table.any(key));
        table.problem(table.line(), "target",
                      "is needed for each role: [[" + table.path() + ".target]] with role and id");
        return;
      }
      read_target(table, node, serving.empty() ? Role::mds : serving.front(), index, objects, !serving.empty());
      return;
    }
    read_choice(table, "index", &index);
    read_choice(table, "objects", &objects);
    if (list->kind != ConfigNode::Kind::array || list->items.empty()) {
      table.problem(list->line, "target", "wants tables [[" + table.path() + ".target]]");
      return;
    }
    for (const ConfigNode& item : list->items) {
      const std::string path = table.path() + ".target";
      if (item.kind != ConfigNode::Kind::table) {
        table.problem(item.line, "target", std::string("wants tables, not ") + kind_name(item.kind));
        continue;
      }
      TableReader target = reader(item, path);
      std::string role;
      Role which = serving.empty() ? Role::mds : serving.front();
      if (target.text("role", &role)) {
        const auto named = std::find_if(serving.begin(), serving.end(), [&](Role r) { return role == role_name(r); });
        if (named != serving.end())
          which = *named;
        else
          target.problem(item.find("role")->line, "role", "wants one of the roles of the node that serve: mds, oss");
      } else if (serving.size() > 1 && item.find("role") == nullptr) {
        target.missing("role", "the node has several");
      }
      read_target(target, node, which, index, objects, true);
      target.finish();
    }
  }

  void read_target(TableReader& table, NodeConfig* node, Role role, const PluginChoice& index,
                   const PluginChoice& objects, bool wanted) {
    TargetConfig target;
    target.role = role;
    target.line = table.line();
    target.index = index;
    target.objects = objects;
    std::int64_t id = 0;
    if (table.integer("id", 1, kTargetIdMax, &id))
      target.id = static_cast<std::uint32_t>(id);
    else if (wanted && table.node().find("id") == nullptr) {
      table.missing("id", "a number of this target's own in the cluster; it never changes");
    }
    std::string data;
    if (table.text("data", &data) && !data.empty())
      target.data = absolute(config_.folder, data);
    else if (wanted && (table.node().find("data") == nullptr || data.empty())) {
      table.missing("data", "the folder where the target keeps its data");
    }
    read_choice(table, "index", &target.index);
    read_choice(table, "objects", &target.objects);
    read_pools(table, &target);
    if (wanted && role == Role::mds && !target.pools.empty()) {
      table.problem(table.node().find("pools")->line, "pools", "is for targets of the role oss");
    }
    if (wanted && role == Role::mds && table.node().find("objects") != nullptr) {
      table.problem(table.node().find("objects")->line, "objects", "is for targets of the role oss");
    }
    for (PluginChoice* choice : {&target.index, &target.objects}) {
      if (choice->key.empty()) choice->key = table.path_of(choice == &target.index ? "index" : "objects");
      if (choice->line == 0) choice->line = table.line();
    }
    target.index.default_path = target.data + "/index";
    target.objects.default_path = target.data + "/objects";
    if (wanted) node->targets.push_back(std::move(target));
  }

  const ConfigNode& root_;
  ConfigResult& result_;
  ClusterConfig& config_;
  NodeConfig defaults_;
  PluginChoice index_;
  PluginChoice objects_;
};

void set_file(const std::string& path, ClusterConfig* config) {
  char real[PATH_MAX];
  config->file = ::realpath(path.c_str(), real) != nullptr ? real : path;
  const std::size_t slash = config->file.rfind('/');
  config->folder = slash == std::string::npos ? "." : config->file.substr(0, slash);
}

}  // namespace

const char* role_name(Role role) noexcept {
  switch (role) {
    case Role::mds:
      return "mds";
    case Role::oss:
      return "oss";
    case Role::client:
      return "client";
  }
  return "unknown";
}

bool NodeConfig::has(Role role) const noexcept { return std::find(roles.begin(), roles.end(), role) != roles.end(); }

const NodeConfig* ClusterConfig::find(std::string_view node) const noexcept {
  for (const NodeConfig& known : nodes) {
    if (known.name == node) return &known;
  }
  return nullptr;
}

ConfigResult parse_cluster_config(std::string_view text, const std::string& path) {
  ConfigResult result;
  set_file(path, &result.config);
  ConfigNode root;
  if (!parse_document(text, result.config.file, &root, &result.problems)) return result;
  Parser(root, &result).run();
  check_between_nodes(result.config, &result.problems);
  return result;
}

ConfigResult load_cluster_config(const std::string& path) {
  ConfigResult result;
  set_file(path, &result.config);
  ConfigNode root;
  if (!read_document(result.config.file, &root, &result.problems)) return result;
  Parser(root, &result).run();
  check_between_nodes(result.config, &result.problems);
  return result;
}

}  // namespace rideau
