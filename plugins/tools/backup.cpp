// SPDX-License-Identifier: Apache-2.0
// `rideau backup`: the running node of a metadata target writes a backup of it. `rideau restore`: a backup into the
// empty index of a node that does not run.
#include "framework/node/open_plugin.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/mds/backup.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control_client.hpp"
#include "plugins/tools/file_sink.hpp"
#include "plugins/tools/mount_table.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/progress.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <future>
#include <memory>

#include <sys/stat.h>

namespace rideau::tools {
namespace {

const NodeConfig* metadata_node(const ClusterConfig& cluster, const std::string& name, const TargetConfig** target) {
  const NodeConfig* node = cluster.find(name);
  if (node != nullptr) {
    for (const TargetConfig& known : node->targets) {
      if (known.role != Role::mds) continue;
      *target = &known;
      return node;
    }
  }
  std::fprintf(stderr, "%s: there is no node \"%s\" with a metadata target\n", cluster.file.c_str(), name.c_str());
  return nullptr;
}

// The mount of this very cluster in which the file would lie; empty: none.
std::string own_mount_around(const ClusterConfig& cluster, std::string path) {
  while (path.size() > 1) {
    path.resize(std::max<std::size_t>(path.rfind('/'), 1));
    const auto source = mounted_from(path);
    if (!source) continue;
    const ConfigResult mounted = load_cluster_config(*source);
    if (*source == cluster.file || (mounted.ok() && mounted.config.uuid == cluster.uuid)) return path;
  }
  return {};
}

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

struct Restore {
  RealRuntime& runtime;
  const PluginCatalog& catalog;
  const ClusterConfig& cluster;
  const NodeConfig& node;
  const TargetConfig& target;
  std::FILE* file;
  std::string path;
};

mds::BackupReader reader_of(std::FILE* file) {
  std::rewind(file);
  return mds::BackupReader([file](MutableBytes room) { return std::fread(room.data, 1, room.size, file); });
}

// Whether the file is a whole backup of this very target; nothing is touched before that is known.
bool check_backup(const Restore& restore, std::string* why) {
  Progress progress;
  mds::BackupReader reader = reader_of(restore.file);
  mds::BackupHead head;
  Status status = reader.head(&head);
  Bytes key;
  Bytes value;
  while (status.ok()) {
    status = reader.next(&key, &value);
    if (reader.entries() % 4096 == 0)
      progress.tell("reading the backup: " + std::to_string(reader.entries()) + " records");
  }
  if (status.code != Code::not_found) {
    *why = restore.path + ": " + status_text(status) + "; use another backup";
    return false;
  }
  if (head.cluster == restore.cluster.uuid && head.target == restore.target.id) return true;
  *why = restore.path + " is a backup of target " + std::to_string(head.target) + " of cluster " +
         to_text(head.cluster) + ", node " + restore.node.name + " is target " + std::to_string(restore.target.id) +
         " of " + to_text(restore.cluster.uuid);
  return false;
}

Task<> restore_index(const Restore& restore, Logger& log, std::string* why) {
  OpenedPlugin opened = open_plugin(restore.runtime, log, restore.catalog, restore.cluster, restore.target.index,
                                    restore.node.name + "." + std::to_string(restore.target.id) + ".index");
  if (opened.instance == nullptr) {
    *why = opened.problem;
    co_return;
  }
  const Status started = co_await opened.instance->start();
  if (!started.ok()) {
    *why = opened.instance->message();
    co_return;
  }
  Progress progress;
  mds::BackupReader reader = reader_of(restore.file);
  mds::BackupHead head;
  Status done = reader.head(&head);
  const auto tell = [&progress](std::uint64_t entries) {
    progress.tell("restoring: " + std::to_string(entries) + " records");
  };
  if (done.ok()) done = co_await mds::restore_backup(opened.instance->index_store(), reader, tell);
  if (done.code == Code::exists) {
    *why = "the index of node " + restore.node.name + " under " + restore.target.data +
           " is not empty: move that folder away, a restore replaces nothing";
  } else if (!done.ok()) {
    *why = "node " + restore.node.name + ": " + status_text(done) + "; remove " + restore.target.data +
           " and restore again";
  } else {
    std::printf("node %s: %" PRIu64 " records restored\n", restore.node.name.c_str(), reader.entries());
  }
  const Status stopped = co_await opened.instance->stop();
  if (!stopped.ok() && why->empty()) *why = opened.instance->message();
}

}  // namespace

int backup(const CommonOptions&, const NodeCommandOptions& options, const std::string& file) {
  ClusterConfig cluster;
  if (!load_config(options.config, nullptr, &cluster)) return kUsage;
  const TargetConfig* target = nullptr;
  const NodeConfig* node = metadata_node(cluster, options.node, &target);
  if (node == nullptr) return kUsage;
  const std::string path = absolute_path(file);
  if (const std::string mount = own_mount_around(cluster, path); !mount.empty()) {
    std::fprintf(
        stderr,
        "%s lies in the file system of this cluster, mounted at %s: its metadata server would wait for itself; "
        "choose a place elsewhere\n",
        path.c_str(), mount.c_str());
    return kUsage;
  }
  auto asked = std::async(std::launch::async, [&cluster, node, &path] {
    return ask_node(cluster.folder, node->name, "POST", "/backup", path, 0);
  });
  {
    Progress progress;
    while (asked.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
      struct stat partial {};
      if (::stat(FileSink::partial_path(path).c_str(), &partial) != 0) continue;
      progress.tell("backup: " + std::to_string(partial.st_size >> 20) + " MiB");
    }
  }
  const ControlAnswer answer = asked.get();
  if (!answer.ok()) {
    std::fprintf(stderr, "%s\n", answer.body.c_str());
    return kFailed;
  }
  std::printf("%s: %s bytes\n", path.c_str(), answer.body.c_str());
  return kDone;
}

int restore(const CommonOptions& common, const NodeCommandOptions& options, const std::string& file) {
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(options.config, &catalog, &cluster)) return kUsage;
  const TargetConfig* target = nullptr;
  const NodeConfig* node = metadata_node(cluster, options.node, &target);
  if (node == nullptr) return kUsage;
  const std::unique_ptr<std::FILE, FileCloser> from(std::fopen(file.c_str(), "re"));
  if (from == nullptr) {
    std::fprintf(stderr, "%s: %s\n", file.c_str(), std::strerror(errno));
    return kFailed;
  }
  std::string why;
  PidFile pid_file;
  if (!hold_stopped_node(cluster.folder, node->name, "restore", &pid_file, &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  const std::unique_ptr<Logger> log = make_log(common, *node);
  RealRuntime runtime;
  const Restore work{runtime, catalog, cluster, *node, *target, from.get(), file};
  if (check_backup(work, &why) && make_folders(target->data, &why)) runtime.run(restore_index(work, *log, &why));
  if (why.empty()) return kDone;
  std::fprintf(stderr, "%s\n", why.c_str());
  return kFailed;
}

}  // namespace rideau::tools
