// SPDX-License-Identifier: Apache-2.0
// The deployment of one cluster as plain values, and how they come from and go to cluster.toml. The keys of the file
// are described by the comments that cluster_config_text() writes.
#pragma once

#include "framework/base/uuid.hpp"
#include "framework/config/problem.hpp"
#include "rideau/host.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rideau {

enum class Role : std::uint32_t { mds, oss, client };
const char* role_name(Role role) noexcept;

// A value for a plugin as it stands in the file; check_plugin_values() knows what it should be.
struct RawValue {
  enum class Kind { text, integer, boolean, other };
  std::string key;
  std::uint32_t line = 0;
  Kind kind = Kind::text;
  std::string text;          // of other: what stands there instead
  std::int64_t integer = 0;  // of integer, and 0 or 1 of boolean
};

struct PluginChoice {
  PluginKind kind = PluginKind::transport;
  std::string plugin;  // "tcp"
  std::string key;     // where it was chosen: "node.oss0.objects"
  std::uint32_t line = 0;
  std::vector<RawValue> values;
  std::string default_path;  // for a plugin with a key "path" that the file does not set; absolute
};

struct TargetConfig {
  std::uint32_t id = 0;   // unique in the cluster, never changed once the target holds data; not 0
  Role role = Role::mds;  // mds or oss
  std::string data;       // folder, absolute
  PluginChoice index;
  PluginChoice objects;            // of an oss
  std::vector<std::string> pools;  // of an oss: that it belongs to, none twice
  std::uint32_t line = 0;
};

struct ClientSettings {
  std::uint64_t cache_bytes = 0;  // of file data, clean and dirty; 0: a share of the memory
  std::uint64_t dirty_bytes_max = 64ull << 20;
  std::uint64_t unstable_bytes_max = 0;  // dirty, or not yet durable at its server; 0: half of the cache
  std::uint64_t dirty_age_ms = 5'000;
  std::uint64_t read_ahead_bytes = 4ull << 20;
  std::uint64_t cached_inodes = 128 * 1024;
  bool default_permissions = false;  // the kernel decides by mode bits, and asks for attributes after each change
};

// A transport of a node, and where the node is found over it.
struct Way {
  PluginChoice transport;
  std::string listen;   // of servers; what the transport listens on. Empty: over this transport the node only connects
  std::string address;  // of servers; what peers connect to (listen, unless the file says otherwise)
};

struct NodeConfig {
  std::string name;
  std::uint32_t line = 0;
  std::vector<Role> roles;  // in the order of the file, none twice
  std::string data;         // of servers; folder, absolute
  std::vector<Way> ways;    // at least one, the preferred ones first, no transport twice
  std::vector<TargetConfig> targets;
  ClientSettings client;  // of clients
  Level log_level = Level::info;
  std::uint64_t spin_ns = 60'000;  // how long to look for work before sleeping, while nobody else wants the CPU
  std::uint32_t blocking_threads = 4;
  bool events = true;                   // what it did lately is kept for `rideau trace`
  std::string metrics = "127.0.0.1:0";  // where the node tells its metrics over HTTP; empty: nowhere

  bool has(Role role) const noexcept;
};

// How one node reaches another.
struct ChosenWay {
  std::size_t number = 0;  // among the ways of the one who connects
  std::string address;     // of the other one
};
// By the transports of `from` on which `to` listens too, as `from` prefers them.
std::vector<ChosenWay> ways_between(const NodeConfig& from, const NodeConfig& to);

struct ClusterConfig {
  std::string file;    // absolute
  std::string folder;  // absolute: relative paths start here, run/ and log/ lie here. Of the file, unless it says so
  std::string name;
  Uuid uuid{};
  std::uint32_t stripe_count = 0;  // of new files; 0: over all object targets
  std::uint64_t stripe_size = 1ull << 20;
  static constexpr std::uint64_t kInlineMax = 64 * 1024;
  // So many bytes a new file may have and keep at the metadata server; not said: as many as is usual.
  std::optional<std::uint64_t> inline_max;
  bool commit_first = false;                  // changes of names and attributes are answered when they are durable
  std::uint64_t recovery_ns = 4'000'000'000;  // how long a restarted metadata server waits for clients to come back
  std::uint64_t locks_max = 1u << 20;         // of all clients, at a metadata target
  std::vector<std::uint32_t> removed;         // ids of object targets that were taken out: never used again
  std::vector<NodeConfig> nodes;              // in the order of the file
  NodeConfig any_client;                      // what a client that is not in the file uses
  bool guard_plugins = false;                 // not in the file: the simulator checks the contract of every plugin

  const NodeConfig* find(std::string_view node) const noexcept;
  // The first server to which no transport of this node leads; null: it reaches all.
  const NodeConfig* out_of_reach(const NodeConfig& from) const;
};

// Whether `after` has every server of `before` as it was, but for object servers whose targets it lists as removed, and
// besides at most object servers with greater target ids; *why says what else is different. Pools may be others.
bool has_grown_only(const ClusterConfig& before, const ClusterConfig& after, std::string* why);

struct ConfigResult {
  ClusterConfig config;
  std::vector<Problem> problems;
  bool ok() const noexcept { return problems.empty(); }
};

// Any bytes give a config or problems. Plugins are not looked at; that is check_cluster_plugins().
ConfigResult load_cluster_config(const std::string& path);
ConfigResult parse_cluster_config(std::string_view text, const std::string& path);

// What `rideau up` decides about a new cluster; everything else is a default that stands in the file as a comment.
struct NewCluster {
  struct Server {
    std::string name;  // "oss0"
    Role role = Role::mds;
    std::uint32_t id = 0;
    std::vector<std::string> listen;  // "127.0.0.1:7410"; as many as the cluster has transports
    std::string device;               // for the objects plugin; empty: none
  };
  std::string name;
  Uuid uuid{};
  std::string transport = "tcp";
  std::vector<RawValue> transport_values;  // of its keys; texts and booleans
  std::string index = "lmdb";
  std::string objects = "raw-file";
  std::vector<Server> servers;
  std::uint32_t clients = 1;    // client0, …
  bool single_process = false;  // one node "all0" with every role; listens where the first server does
};
// The text of a cluster.toml that load_cluster_config() accepts.
std::string cluster_config_text(const NewCluster& cluster);
// Writes it to a file that must not exist yet; otherwise *why says what failed.
bool write_cluster_config(const std::string& path, const NewCluster& cluster, std::string* why);
// Adds the servers of `more` at the end of the file, or leaves it as it is.
bool grow_cluster_config(const std::string& path, const NewCluster& more, std::string* why);
// Takes an object server out of the file and lists its targets as removed, or leaves the file as it is.
bool shrink_cluster_config(const std::string& path, const NodeConfig& node, std::string* why);

}  // namespace rideau
