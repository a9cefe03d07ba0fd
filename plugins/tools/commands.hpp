// SPDX-License-Identifier: Apache-2.0
// The commands of the program, one function a command, each in the file of its name. They answer with the exit status:
// 0 done, 1 failed, 2 usage or configuration.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace rideau {
struct ClusterConfig;
}

namespace rideau::tools {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct CommonOptions {
  std::vector<std::string> plugin_paths;  // --plugin-path
  std::string log_level;                  // overrides the configuration when set
};

struct UpOptions {
  std::string folder;
  std::string mount_point;  // empty: FOLDER/mnt
  bool no_mount = false;
  std::uint32_t mds_count = 1;
  std::uint32_t oss_count = 2;
  std::string transport;  // empty: tcp, and inproc in a single process
  std::string index = "lmdb";
  std::string objects = "raw-file";
  std::vector<std::string> devices;  // OSS=PATH
  bool single_process = false;
  bool encrypt = false;         // a new cluster gets keys
  std::set<std::string> given;  // "--oss": what was typed, since a cluster that is there already must agree with it
};
int up(const CommonOptions& common, const UpOptions& options);
int down(const CommonOptions& common, const std::string& folder);
int reload(const CommonOptions& common, const std::string& config);
// False when one of this machine's nodes that run refuses; that was printed.
bool tell_nodes_to_reload(const ClusterConfig& cluster, std::vector<std::string>* told);

struct FormatOptions {
  std::string device;
  bool force = false;  // also when something is on it
};
int format_device(const FormatOptions& options);

struct KeysOptions {
  std::string folder;
  std::string name;                    // of the node, or of the authority; empty: a usual one
  std::vector<std::string> addresses;  // of a node
  bool client = false;                 // a node that nobody connects to
  std::int64_t days = 0;               // until the certificate ends; 0: as usual
};
int make_authority_keys(const KeysOptions& options);
int make_node_keys(const KeysOptions& options);
int make_curve_key(const std::string& file);
int show_keys(const std::vector<std::string>& paths);

struct ServeOptions {
  std::string config;
  std::string node;
  std::string log_file;            // empty: standard error
  std::vector<std::string> roles;  // when given, they must be the node's
  std::string mount_point;         // of a node that is a client too; it ends when that is unmounted. Empty: none
};
int serve(const CommonOptions& common, const ServeOptions& options);

struct MountOptions {
  std::string config;
  std::string mount_point;
  std::string node;     // empty: the first client node that is free
  std::string options;  // of mount(8), with commas
  bool foreground = false;
  bool default_permissions = false;  // also when the configuration does not say so
};
int mount(const CommonOptions& common, const MountOptions& options);
int umount(const std::string& mount_point);

// As the words of the command line; empty: not said.
struct LayoutOptions {
  std::vector<std::string> paths;
  std::string count;       // a number, "all", "default"
  std::string size;        // bytes with or without a unit, "default"
  std::string offset;      // a number, "any"
  std::string inline_max;  // bytes with or without a unit, "default"
  std::string pool;        // a name, "none"
  bool json = false;
};
int layout_get(const LayoutOptions& options);
int layout_set(const LayoutOptions& options);

struct FsckOptions {
  std::string config;
  bool repair = false;
  bool json = false;
};
int fsck(const CommonOptions& common, const FsckOptions& options);

struct ScrubOptions {
  std::string config;
  std::string rate = "100 MiB";  // bytes a second of each object target; "unlimited": no bound
  bool json = false;
};
int scrub(const CommonOptions& common, const ScrubOptions& options);

struct DrainOptions {
  std::string config;
  std::string node;
  std::string rate = "100 MiB";  // bytes a second that move; "unlimited": no bound
  bool cancel = false;           // it takes files again
  bool remove = false;           // drained, it is taken out of the cluster
};
int drain(const CommonOptions& common, const DrainOptions& options);

// A command for one running node of this machine, or for all of them.
struct NodeCommandOptions {
  std::string config;
  std::string node;  // empty: all
};
int stats(const CommonOptions& common, const NodeCommandOptions& options, bool json);
struct TraceOptions {
  std::string trace;               // a number as the list shows it; empty: the list
  std::uint32_t count = 20;        // of the list
  std::string save;                // a file for the events instead
  std::vector<std::string> files;  // events that were saved elsewhere
};
int trace(const CommonOptions& common, const NodeCommandOptions& options, const TraceOptions& wanted);
int set_log_level(const CommonOptions& common, const NodeCommandOptions& options, const std::string& level);
int backup(const CommonOptions& common, const NodeCommandOptions& options, const std::string& file);
int restore(const CommonOptions& common, const NodeCommandOptions& options, const std::string& file);
int compact(const CommonOptions& common, const NodeCommandOptions& options);
int reopen_logs(const CommonOptions& common, const NodeCommandOptions& options);
int evict(const CommonOptions& common, const std::string& config, const std::string& client);

int status(const CommonOptions& common, const std::string& config, bool json);
int check_config(const CommonOptions& common, const std::string& config);
int list_plugins(const CommonOptions& common);
int describe_plugin(const CommonOptions& common, const std::string& name);
int sync(const std::string& path);
int version();
std::string version_text();

}  // namespace rideau::tools
