// SPDX-License-Identifier: Apache-2.0
// `rideau scrub`: object servers read everything that they store, so that rot is found before somebody needs the bytes.
#include "framework/runtime/real_runtime.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/check/checker.hpp"
#include "plugins/check/scrub.hpp"
#include "plugins/check/servers.hpp"
#include "plugins/tools/cluster_sessions.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/progress.hpp"
#include "plugins/tools/rate.hpp"
#include "plugins/tools/rough_size.hpp"
#include "plugins/tools/setup.hpp"

#include <cstdio>
#include <list>

#include <nlohmann/json.hpp>

namespace rideau::tools {
namespace {

struct Target {
  const ClusterSessions::Member* member = nullptr;
  check::ScrubResult result;
  Status status{};
  std::vector<check::DamagedBytes> damaged;

  const std::string& node() const { return member->place.node->name; }
};

class Scrub {
 public:
  Scrub(RealRuntime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster,
        std::uint64_t bytes_per_second)
      : runtime_(runtime),
        cluster_(cluster),
        bytes_per_second_(bytes_per_second),
        sessions_(runtime, log, catalog, cluster, "rideau scrub") {}

  Task<> run() {
    const bool opened = co_await sessions_.open();
    if (!opened) {
      problem_ = sessions_.problem() + "; a scrub reads through running servers: start them all";
    } else {
      co_await read_objects();
      if (problem_.empty()) co_await read_metadata();
    }
    co_await sessions_.close();
  }

  // Empty: it came to the end; else why not.
  const std::string& problem() const noexcept { return problem_; }
  const std::list<Target>& targets() const noexcept { return targets_; }
  const check::Report& report() const noexcept { return report_; }
  bool clean() const {
    std::size_t damages = 0;
    for (const Target& target : targets_) damages += target.damaged.size();
    return problem_.empty() && damages == 0 && report_.clean();
  }

 private:
  Task<> read_objects() {
    TaskGroup readers(runtime_);
    for (const ClusterSessions::Member& member : sessions_.members()) {
      if (member.place.target->role != Role::oss) continue;
      Target& target = targets_.emplace_back();
      target.member = &member;
      target.result.target = member.place.target->id;
      readers.spawn(read_target(target));
    }
    co_await readers.join();
    for (const Target& target : targets_) {
      if (target.status.ok() || !problem_.empty()) continue;
      problem_ = target.node() + " (target " + std::to_string(target.result.target) +
                 "): the scrub cannot go on: " + status_text(target.status);
    }
  }

  Task<> read_target(Target& target) {
    target.status = co_await check::scrub(
        runtime_, *target.member->session, bytes_per_second_, [this] { tell(); }, &target.result);
  }

  Task<> read_metadata() {
    for (const ClusterSessions::Member& member : sessions_.members()) {
      if (member.place.target->role != Role::mds) continue;
      check::ServerRecords meta(*member.session);
      for (Target& target : targets_) co_await name_damages(meta, target);
      co_await check_records(meta, *member.place.target);
    }
  }

  Task<> name_damages(check::MetaSource& meta, Target& target) {
    for (const auto& damage : target.result.damages) {
      auto found = co_await check::locate(meta, damage);
      if (found.ok()) {
        target.damaged.insert(target.damaged.end(), found->begin(), found->end());
      } else {  // its record is damaged too: that is told beside it
        target.damaged.push_back({fs::owner_of(damage.object), {}, damage.offset, damage.size});
      }
    }
  }

  Task<> check_records(check::MetaSource& meta, const TargetConfig& config) {
    std::vector<check::ServerObjects> sources;
    for (const Target& target : targets_) sources.emplace_back(target.result.target, *target.member->session);
    std::vector<check::ObjectSource*> objects;
    for (check::ServerObjects& source : sources) objects.push_back(&source);
    check::CheckOptions options;
    options.cluster = cluster_.uuid;
    options.target = config.id;
    options.live = true;
    options.progress = [this](const char* what, std::uint64_t count) {
      progress_.tell(std::to_string(count) + " " + what + " read");
    };
    const Status status = co_await check::check(meta, objects, options, &report_);
    if (!status.ok()) {
      problem_ = "metadata target " + std::to_string(config.id) + ": the check cannot go on: " + status_text(status);
    }
  }

  void tell() {
    std::uint64_t bytes = 0;
    std::uint64_t objects = 0;
    std::uint64_t wanted = 0;
    for (const Target& target : targets_) {
      bytes += target.result.bytes;
      objects += target.result.objects;
      wanted += std::max(target.result.objects_wanted, target.result.objects);
    }
    progress_.tell(std::to_string(objects) + " of " + std::to_string(wanted) + " objects, " + rough_size(bytes) +
                   " read");
  }

  RealRuntime& runtime_;
  const ClusterConfig& cluster_;
  const std::uint64_t bytes_per_second_;
  ClusterSessions sessions_;
  Progress progress_;
  std::list<Target> targets_;
  check::Report report_;
  std::string problem_;
};

std::string file_text(const check::DamagedBytes& bytes) {
  return bytes.path.empty() ? "inode " + std::to_string(bytes.inode) : bytes.path;
}

void print_text(const Scrub& scrub) {
  std::uint64_t bytes = 0;
  std::uint64_t objects = 0;
  for (const Target& target : scrub.targets()) {
    bytes += target.result.bytes;
    objects += target.result.objects;
    for (const check::DamagedBytes& one : target.damaged) {
      const std::string size = one.size == 0 ? "everything" : std::to_string(one.size) + " bytes";
      std::printf("damaged-bytes: %s: %s from %llu on cannot be read (%s, target %u)\n", file_text(one).c_str(),
                  size.c_str(), static_cast<unsigned long long>(one.offset), target.node().c_str(),
                  target.result.target);
    }
    if (!target.result.checksums) {
      std::printf("%s keeps no checksums of bytes: only what cannot be read at all was looked for\n",
                  target.node().c_str());
    }
  }
  for (const check::Finding& finding : scrub.report().findings) {
    std::printf("%s: %s\n", check::kind_name(finding.kind), finding.text.c_str());
  }
  std::printf("%llu objects, %s; %llu inodes, %llu names: %s\n", static_cast<unsigned long long>(objects),
              rough_size(bytes).c_str(), static_cast<unsigned long long>(scrub.report().inodes),
              static_cast<unsigned long long>(scrub.report().entries), scrub.clean() ? "all is well" : "damaged");
}

void print_json(const Scrub& scrub) {
  nlohmann::ordered_json document;
  document["clean"] = scrub.clean();
  if (!scrub.problem().empty()) document["problem"] = scrub.problem();
  document["inodes"] = scrub.report().inodes;
  document["names"] = scrub.report().entries;
  document["targets"] = nlohmann::ordered_json::array();
  for (const Target& target : scrub.targets()) {
    nlohmann::ordered_json one;
    one["node"] = target.node();
    one["target"] = target.result.target;
    one["bytes"] = target.result.bytes;
    one["objects"] = target.result.objects;
    one["checksums"] = target.result.checksums;
    one["damaged"] = nlohmann::ordered_json::array();
    for (const check::DamagedBytes& bytes : target.damaged) {
      one["damaged"].push_back(
          {{"inode", bytes.inode}, {"path", bytes.path}, {"offset", bytes.offset}, {"size", bytes.size}});
    }
    document["targets"].push_back(one);
  }
  document["findings"] = nlohmann::ordered_json::array();
  for (const check::Finding& finding : scrub.report().findings) {
    document["findings"].push_back({{"kind", check::kind_name(finding.kind)}, {"text", finding.text}});
  }
  std::printf("%s\n", document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
}

}  // namespace

int scrub(const CommonOptions& common, const ScrubOptions& options) {
  const std::optional<std::uint64_t> rate = parse_rate(options.rate);
  if (!rate) return kUsage;
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(options.config, &catalog, &cluster)) return kUsage;
  const std::unique_ptr<Logger> log = make_command_log(common, "scrub");
  RealRuntime runtime;
  Scrub scrub(runtime, *log, catalog, cluster, *rate);
  runtime.run(scrub.run());
  if (options.json) {
    print_json(scrub);
  } else if (scrub.problem().empty()) {
    print_text(scrub);
  }
  if (!scrub.problem().empty()) std::fprintf(stderr, "%s\n", scrub.problem().c_str());
  return scrub.clean() ? kDone : kFailed;
}

}  // namespace rideau::tools
