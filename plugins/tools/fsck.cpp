// SPDX-License-Identifier: Apache-2.0
// `rideau fsck`: the check of a whole file system, in the stores of its stopped servers or through running ones.
#include "framework/node/open_plugin.hpp"
#include "framework/runtime/await.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/check/checker.hpp"
#include "plugins/check/servers.hpp"
#include "plugins/check/stores.hpp"
#include "plugins/oss/records.hpp"
#include "plugins/tools/cluster_sessions.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/probe.hpp"
#include "plugins/tools/setup.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include <sys/stat.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

constexpr std::uint32_t kProbeMs = 1000;

// The stores of one target, open for as long as the check runs.
struct OpenTarget {
  TargetPlace place;
  std::unique_ptr<PluginInstance> index;
  std::unique_ptr<PluginInstance> objects;
};

class Fsck {
 public:
  Fsck(RealRuntime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster,
       const FsckOptions& options)
      : runtime_(runtime), log_(log), catalog_(catalog), cluster_(cluster), options_(options) {}

  // Empty: the check came to its end; else why not.
  const std::string& problem() const noexcept { return problem_; }
  const check::Report& report() const noexcept { return report_; }

  Task<> run_offline() {
    bool opened = true;
    for (const TargetPlace& place : targets_of(cluster_)) {
      opened = co_await open(place);
      if (!opened) break;
    }
    if (opened) co_await check_stores();
    for (OpenTarget& target : targets_) {
      for (PluginInstance* store : {target.objects.get(), target.index.get()}) {
        if (store == nullptr) continue;
        const Status stopped = co_await store->stop();
        if (!stopped.ok() && problem_.empty()) problem_ = store->message();
      }
    }
    targets_.clear();
  }

  // Servers go on serving meanwhile.
  Task<> run_online() {
    ClusterSessions sessions(runtime_, log_, catalog_, cluster_, "rideau fsck");
    const bool opened = co_await sessions.open();
    if (opened) co_await check_servers(sessions);
    if (!opened) problem_ = sessions.problem();
    co_await sessions.close();
  }

 private:
  Task<bool> open_store(const PluginChoice& choice, const std::string& name, PluginInstance* index_of_store,
                        std::unique_ptr<PluginInstance>* to) {
    OpenedPlugin opened = open_plugin(runtime_, log_, catalog_, cluster_, choice, name, index_of_store);
    if (opened.instance == nullptr) {
      problem_ = opened.problem;
      co_return false;
    }
    const Status started = co_await opened.instance->start();
    if (!started.ok()) {
      problem_ = opened.instance->message();
      co_return false;
    }
    *to = std::move(opened.instance);
    co_return true;
  }

  // An object target's store must be what the configuration says before anything in it is called an orphan.
  bool judge_object_target(OpenTarget& target) {
    const TargetConfig& config = *target.place.target;
    const std::string who = "object target " + std::to_string(config.id) + " (" + config.data + ")";
    Snapshot* snapshot = nullptr;
    Status status = target.index->index_store().snapshot(&snapshot);
    Bytes value;
    oss::Superblock block;
    if (status.ok()) {
      const std::string key = oss::superblock_key();
      status = snapshot->get(Bytes(std::string_view(key)), &value);
      if (status.ok()) status = oss::read_superblock(value, &block);
      snapshot->release();
    }
    if (!status.ok()) {
      problem_ = who + ": whose it is cannot be read: " + status_text(status);
    } else if (block.cluster != cluster_.uuid || block.target != config.id) {
      problem_ = who + " holds target " + std::to_string(block.target) + " of cluster " + to_text(block.cluster) +
                 "; check the path in " + cluster_.file;
    }
    return problem_.empty();
  }

  Task<bool> open(TargetPlace place) {
    const TargetConfig& config = *place.target;
    const std::string name = place.node->name + "." + std::to_string(config.id);
    struct stat folder {};
    if (::stat(config.data.c_str(), &folder) != 0) {
      problem_ = "the data of target " + std::to_string(config.id) + " (node " + place.node->name + "), " +
                 config.data + ", is not on this machine: stopped servers are checked where their data is";
      co_return false;
    }
    OpenTarget& target = targets_.emplace_back();
    target.place = place;
    const bool index = co_await open_store(config.index, name + ".index", nullptr, &target.index);
    if (!index) co_return false;
    if (config.role != Role::oss) co_return true;
    const bool objects = co_await open_store(config.objects, name + ".objects", target.index.get(), &target.objects);
    co_return objects&& judge_object_target(target);
  }

  Task<> check_stores() {
    std::vector<check::StoreObjects> sources;
    for (OpenTarget& target : targets_) {
      if (target.objects != nullptr) sources.emplace_back(target.place.target->id, target.objects->object_store());
    }
    std::vector<check::ObjectSource*> objects;
    for (check::StoreObjects& source : sources) objects.push_back(&source);
    for (OpenTarget& target : targets_) {
      if (target.place.target->role != Role::mds) continue;
      check::IndexSource meta(target.index->index_store());
      co_await check_one(*target.place.target, meta, objects, false);
    }
  }

  Task<> check_servers(const ClusterSessions& sessions) {
    std::vector<check::ServerObjects> sources;
    for (const ClusterSessions::Member& member : sessions.members()) {
      const TargetConfig& target = *member.place.target;
      if (target.role == Role::oss) sources.emplace_back(target.id, *member.session);
    }
    std::vector<check::ObjectSource*> objects;
    for (check::ServerObjects& source : sources) objects.push_back(&source);
    for (const ClusterSessions::Member& member : sessions.members()) {
      if (member.place.target->role != Role::mds) continue;
      check::ServerRecords meta(*member.session);
      co_await check_one(*member.place.target, meta, objects, true);
    }
  }

  Task<> check_one(const TargetConfig& target, check::MetaSource& meta,
                   const std::vector<check::ObjectSource*>& objects, bool live) {
    check::CheckOptions settings;
    settings.cluster = cluster_.uuid;
    settings.target = target.id;
    settings.repair = options_.repair;
    settings.live = live;
    settings.now_ns = runtime_.wall_ns();
    if (::isatty(STDERR_FILENO) == 1) {
      settings.progress = [](const char* what, std::uint64_t count) {
        std::fprintf(stderr, "\r%llu %s read        ", static_cast<unsigned long long>(count), what);
      };
    }
    const Status status = co_await check::check(meta, objects, settings, &report_);
    if (settings.progress) std::fputs("\r\033[K", stderr);
    if (status.code == Code::refused) {
      problem_ = "metadata target " + std::to_string(target.id) + " (" + target.data + "): " + status.where +
                 "; nothing was touched";
    } else if (!status.ok()) {
      problem_ = "metadata target " + std::to_string(target.id) + ": the check cannot go on: " + status_text(status);
    }
  }

  RealRuntime& runtime_;
  Logger& log_;
  const PluginCatalog& catalog_;
  const ClusterConfig& cluster_;
  const FsckOptions& options_;
  std::vector<OpenTarget> targets_;
  check::Report report_;
  std::string problem_;
};

void print_text(const check::Report& report, bool repair) {
  for (const check::Finding& finding : report.findings) {
    std::printf("%s: %s%s\n", check::kind_name(finding.kind), finding.text.c_str(),
                finding.mended ? " (mended)" : (repair ? " (left)" : ""));
  }
  std::printf("%llu inodes, %llu names, %llu objects: ", static_cast<unsigned long long>(report.inodes),
              static_cast<unsigned long long>(report.entries), static_cast<unsigned long long>(report.objects));
  if (report.clean()) {
    std::puts("clean");
  } else if (report.left() == 0) {
    std::printf("%zu problems, all mended\n", report.findings.size());
  } else {
    std::printf(
        "%zu problems, %zu of them %s\n", report.findings.size(), report.left(),
        repair ? "left: they cannot be mended" : "there; stop the servers and run it with --repair to mend them");
  }
  if (report.unsettled != 0) {
    std::printf(
        "not judged: %llu things that changed each time they were read; look again later, or at stopped servers\n",
        static_cast<unsigned long long>(report.unsettled));
  }
}

void print_json(const check::Report& report, const std::string& problem, bool online) {
  nlohmann::ordered_json document;
  document["clean"] = problem.empty() && report.clean();
  document["online"] = online;
  if (!problem.empty()) document["problem"] = problem;
  document["inodes"] = report.inodes;
  document["names"] = report.entries;
  document["objects"] = report.objects;
  document["left"] = report.left();
  document["not_judged"] = report.unsettled;
  document["findings"] = nlohmann::ordered_json::array();
  for (const check::Finding& finding : report.findings) {
    nlohmann::ordered_json one;
    one["kind"] = check::kind_name(finding.kind);
    one["text"] = finding.text;
    if (finding.inode != fs::kNoInode) one["inode"] = finding.inode;
    if (finding.directory != fs::kNoInode) one["directory"] = finding.directory;
    if (finding.target != 0) one["target"] = finding.target;
    one["mended"] = finding.mended;
    document["findings"].push_back(one);
  }
  std::printf("%s\n", document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

// Which servers answer, and those that do not, with why.
struct Answering {
  std::string up;
  std::string down;
};
Answering ask_servers(const ClusterConfig& cluster, const PluginCatalog& catalog) {
  Answering found;
  for (const TargetHealth& health : probe_cluster(cluster, catalog, kProbeMs)) {
    std::string& names = health.up ? found.up : found.down;
    names += (names.empty() ? "" : ", ") + health.node;
  }
  return found;
}

}  // namespace

int fsck(const CommonOptions& common, const FsckOptions& options) {
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(options.config, &catalog, &cluster)) return kUsage;
  const Answering servers = ask_servers(cluster, catalog);
  const bool online = !servers.up.empty();
  if (online && options.repair) {
    std::fprintf(
        stderr,
        "servers of this cluster run (%s): --repair mends the stores of stopped ones. Stop them first, or leave "
        "--repair out to look only\n",
        servers.up.c_str());
    return kUsage;
  }
  if (online && !servers.down.empty()) {
    std::fprintf(stderr, "some servers run (%s) and some do not answer (%s): start those, or stop all of them\n",
                 servers.up.c_str(), servers.down.c_str());
    return kFailed;
  }
  const std::unique_ptr<Logger> log = make_command_log(common, "fsck");
  RealRuntime runtime;
  Fsck fsck(runtime, *log, catalog, cluster, options);
  runtime.run(online ? fsck.run_online() : fsck.run_offline());
  if (options.json) {
    print_json(fsck.report(), fsck.problem(), online);
  } else if (fsck.problem().empty()) {
    print_text(fsck.report(), options.repair);
  }
  if (!fsck.problem().empty()) {
    std::fprintf(stderr, "%s\n", fsck.problem().c_str());
    return kFailed;
  }
  return fsck.report().clean() ? kDone : kFailed;
}

}  // namespace rideau::tools
