// SPDX-License-Identifier: Apache-2.0
// `rideau compact`: the indexes of stopped nodes are written anew without what they do not use. How is the plugin's
// business: it has a key `compact` for its start, or it cannot.
#include "framework/node/open_plugin.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/progress.hpp"
#include "plugins/tools/rough_size.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include <sys/stat.h>

namespace rideau::tools {
namespace {

// What the files of a folder take on the disk.
std::uint64_t disk_bytes(const std::string& folder) {
  std::uint64_t bytes = 0;
  std::error_code failed;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, failed)) {
    struct stat file {};
    if (::lstat(entry.path().c_str(), &file) == 0) bytes += static_cast<std::uint64_t>(file.st_blocks) * 512;
  }
  return bytes;
}

std::string folder_of(const PluginChoice& choice) {
  for (const RawValue& value : choice.values) {
    if (value.key == "path") return value.text;
  }
  return choice.default_path;
}

class Compaction {
 public:
  Compaction(RealRuntime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster)
      : runtime_(runtime), log_(log), catalog_(catalog), cluster_(cluster) {}

  // False: it failed and said so; the index is what it was.
  bool run(const NodeConfig& node, const TargetConfig& target) {
    const std::string who = "node " + node.name + ", target " + std::to_string(target.id);
    const LoadResult plugin = catalog_.find(target.index.kind, target.index.plugin);
    if (plugin.ok() && !can_compact(*plugin.descriptor)) {
      std::fprintf(stderr, "%s: the index plugin %s does not compact\n", who.c_str(), target.index.plugin.c_str());
      return false;
    }
    std::string why;
    const std::string folder = folder_of(target.index);
    const std::uint64_t before = disk_bytes(folder);
    {
      Progress progress;
      progress.tell(who + ": compacting " + rough_size(before));
      runtime_.run(start_and_stop(node, target, &why));
    }
    if (!why.empty()) {
      std::fprintf(stderr, "%s: %s\n", who.c_str(), why.c_str());
      return false;
    }
    std::printf("%s: %s before, %s now\n", who.c_str(), rough_size(before).c_str(),
                rough_size(disk_bytes(folder)).c_str());
    return true;
  }

 private:
  static bool can_compact(const PluginDescriptor& plugin) {
    return std::any_of(plugin.keys, plugin.keys + plugin.key_count,
                       [](const ConfigKey& key) { return std::strcmp(key.name, "compact") == 0; });
  }

  Task<> start_and_stop(const NodeConfig& node, const TargetConfig& target, std::string* why) {
    PluginChoice choice = target.index;
    std::erase_if(choice.values, [](const RawValue& value) { return value.key == "compact"; });
    RawValue compact;
    compact.key = "compact";
    compact.kind = RawValue::Kind::boolean;
    compact.integer = 1;
    choice.values.push_back(compact);
    OpenedPlugin opened =
        open_plugin(runtime_, log_, catalog_, cluster_, choice, node.name + "." + std::to_string(target.id) + ".index");
    if (opened.instance == nullptr) {
      *why = opened.problem;
      co_return;
    }
    const Status started = co_await opened.instance->start();
    if (!started.ok()) *why = opened.instance->message();
    const Status stopped = co_await opened.instance->stop();
    if (!stopped.ok() && why->empty()) *why = opened.instance->message();
  }

  RealRuntime& runtime_;
  Logger& log_;
  const PluginCatalog& catalog_;
  const ClusterConfig& cluster_;
};

}  // namespace

int compact(const CommonOptions& common, const NodeCommandOptions& options) {
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(options.config, &catalog, &cluster)) return kUsage;
  if (!options.node.empty() && cluster.find(options.node) == nullptr) {
    std::fprintf(stderr, "%s: there is no node \"%s\"\n", cluster.file.c_str(), options.node.c_str());
    return kUsage;
  }
  const std::unique_ptr<Logger> log = make_command_log(common, "compact");
  RealRuntime runtime;
  Compaction compaction(runtime, *log, catalog, cluster);
  bool all = true;
  std::size_t targets = 0;
  for (const NodeConfig& node : cluster.nodes) {
    if (!options.node.empty() && node.name != options.node) continue;
    for (const TargetConfig& target : node.targets) {
      if (!std::filesystem::exists(target.data)) continue;  // on another machine
      ++targets;
      PidFile held;
      std::string why;
      if (!hold_stopped_node(cluster.folder, node.name, "compact", &held, &why)) {
        std::fprintf(stderr, "%s\n", why.c_str());
        return kFailed;
      }
      all = compaction.run(node, target) && all;
    }
  }
  if (targets == 0) {
    std::fputs("no data of such a node is on this machine\n", stderr);
    return kFailed;
  }
  return all ? kDone : kFailed;
}

}  // namespace rideau::tools
