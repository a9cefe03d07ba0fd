// SPDX-License-Identifier: Apache-2.0
// `rideau mount`: a client of the cluster at a mount point; in the background once mounted. `rideau umount` ends it.
#include "framework/node/transports.hpp"
#include "plugins/client/file_system.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control.hpp"
#include "plugins/tools/mount_table.hpp"
#include "plugins/tools/mounted.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/progress.hpp"
#include "plugins/tools/setup.hpp"
#include "plugins/tools/signals.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

// Each drop of pages keeps a thread, in the kernel, until READ requests that have such pages locked are answered; and
// these may wait for a part of the file that another drop is to make free. So drops must not wait for a thread.
constexpr std::uint32_t kThreadsOfMount = 256;

// Tells the process that was typed how the one in the background fared: nothing for "mounted", else the problem.
class Report {
 public:
  explicit Report(int descriptor) : descriptor_(descriptor) {}
  void done(const std::string& problem) {
    if (descriptor_ < 0) {
      if (!problem.empty()) std::fprintf(stderr, "%s\n", problem.c_str());
      return;
    }
    const std::string text = problem.empty() ? std::string(1, '\0') : problem;
    [[maybe_unused]] const ssize_t written = ::write(descriptor_, text.data(), text.size());
    ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  int descriptor_;
};

Task<HttpAnswer> reload_mount(MountSession& session) {
  if (session.files == nullptr) co_return HttpAnswer{503, "text/plain; charset=utf-8", "not mounted yet; try again\n"};
  co_await session.files->learn_targets();
  co_return HttpAnswer{200, "text/plain; charset=utf-8", "done\n"};
}

// The control socket is there before the cluster is asked for anything.
Task<> run_controlled(MountSession& session, StopSignals& signals) {
  session.control.add("POST /reload", [&session](std::string) { return reload_mount(session); });
  std::string problem;
  if (session.control.start(&problem)) {
    co_await run_mount(session, signals);
  } else {
    session.report(problem);
  }
  co_await session.control.stop();
}

// A client node of the file that no process holds; the file's any_client under a name of its own when all are taken.
bool choose_node(const ClusterConfig& cluster, const std::string& wanted, NodeConfig* node, PidFile* pid_file) {
  std::string why;
  PidRecord holder;
  if (!wanted.empty()) {
    const NodeConfig* named = cluster.find(wanted);
    if (named == nullptr || !named->has(Role::client)) {
      std::fprintf(stderr, "%s: there is no client node \"%s\"\n", cluster.file.c_str(), wanted.c_str());
      return false;
    }
    *node = *named;
    if (pid_file->acquire(pid_path(cluster.folder, node->name), &holder, &why)) return true;
    std::fprintf(stderr, "%s\n",
                 why.empty() ? ("node " + wanted + " runs already: process " + std::to_string(holder.pid) + " at " +
                                holder.detail)
                                   .c_str()
                             : why.c_str());
    return false;
  }
  for (const NodeConfig& candidate : cluster.nodes) {
    if (!candidate.has(Role::client) || !candidate.targets.empty()) continue;
    if (pid_file->acquire(pid_path(cluster.folder, candidate.name), &holder, &why)) {
      *node = candidate;
      return true;
    }
  }
  *node = cluster.any_client;
  for (int number = 0; number < 1000; ++number) {
    node->name = "client" + std::to_string(number);
    if (cluster.find(node->name) != nullptr) continue;
    if (pid_file->acquire(pid_path(cluster.folder, node->name), &holder, &why)) return true;
    if (!why.empty()) break;
  }
  std::fprintf(stderr, "%s\n", why.empty() ? "too many clients on this machine" : why.c_str());
  return false;
}

// What the kernel does without asking the file system; `dev` is none of it, device nodes stay closed. Reading moves no
// access time, so nothing has to be kept from doing it: what only says so is left out.
bool choose_kernel_options(const std::string& options, std::string* chosen) {
  static const std::set<std::string> kKnown = {"rw",   "ro",     "suid",    "nosuid",    "nodev",
                                               "exec", "noexec", "noatime", "nodiratime"};
  static const std::set<std::string> kSoAnyway = {"relatime"};  // what libfuse does not know
  std::istringstream words(options);
  for (std::string word; std::getline(words, word, ',');) {
    if (kSoAnyway.contains(word)) continue;
    if (!kKnown.contains(word)) {
      std::fprintf(stderr, "mount option \"%s\": not in this version\n", word.c_str());
      return false;
    }
    *chosen += (chosen->empty() ? "" : ",") + word;
  }
  return true;
}

// In the parent: waits for the report of the background process, and tells it.
int await_report(int descriptor) {
  std::string text;
  char part[1024];
  for (ssize_t size = 0; (size = ::read(descriptor, part, sizeof part)) > 0;)
    text.append(part, static_cast<std::size_t>(size));
  if (text == std::string(1, '\0')) return kDone;
  if (text.empty()) text = "the client process ended before it had mounted; its log tells why";
  while (!text.empty() && text.back() == '\n') text.pop_back();
  std::fprintf(stderr, "%s\n", text.c_str());
  return kFailed;
}

void go_to_background(const std::string& log) {
  ::setsid();
  [[maybe_unused]] const int moved = ::chdir("/");
  const int input = ::open("/dev/null", O_RDONLY);
  ::dup2(input, 0);
  ::close(input);
  // Without the file its lines still reach whoever typed the command.
  std::string why;
  if (!open_log_file(log, &why)) std::fprintf(stderr, "%s\n", why.c_str());
}

}  // namespace

int mount(const CommonOptions& common, const MountOptions& options) {
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  std::string kernel_options;
  if (!choose_kernel_options(options.options, &kernel_options) || !load_config(options.config, nullptr, &cluster))
    return kUsage;
  const std::string mount_point = absolute_path(options.mount_point);
  std::string why;
  if (!prepare_mount_point(mount_point, cluster, &why) || !make_folder(run_folder(cluster.folder), &why) ||
      !make_folder(log_folder(cluster.folder), &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  NodeConfig node;
  PidFile pid_file;
  if (!choose_node(cluster, options.node, &node, &pid_file)) return kFailed;
  if (const NodeConfig* far = cluster.out_of_reach(node); far != nullptr) {
    std::fprintf(stderr, "%s\n", out_of_reach_text(cluster, node, *far).c_str());
    return kUsage;
  }

  int report_descriptor = -1;
  if (!options.foreground) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return kFailed;
    const pid_t child = ::fork();
    if (child != 0) {
      pid_file.leave_to_child();
      ::close(ends[1]);
      return child < 0 ? kFailed : await_report(ends[0]);
    }
    ::close(ends[0]);
    report_descriptor = ends[1];
    go_to_background(log_path(cluster.folder, node.name));
  }
  Report report(report_descriptor);
  StopSignals signals(options.foreground ? "" : log_path(cluster.folder, node.name));
  pid_file.record("");
  prepare_node_process();
  const std::unique_ptr<Logger> log = make_log(common, node);
  RealRuntime runtime({node.spin_ns, kThreadsOfMount});
  const bool default_permissions = options.default_permissions || node.client.default_permissions;
  Control control(runtime, *log, cluster, node);
  if (!options.foreground) control.set_log_file(log_path(cluster.folder, node.name));
  MountSession session{runtime,
                       *log,
                       catalog,
                       cluster,
                       node,
                       mount_point,
                       default_permissions,
                       kernel_options,
                       [&report](const std::string& problem) { report.done(problem); },
                       pid_file,
                       control};
  runtime.run(run_controlled(session, signals));
  return session.result;
}

namespace {

constexpr std::uint64_t kEndMs = 10'000;

// The kernel answers before the client has written what it still holds, and before its place in run/ is free.
void await_end_of_client(const std::string& config, const std::string& mount_point) {
  const ConfigResult loaded = load_cluster_config(config);
  if (!loaded.ok()) return;  // moved or changed since: then nobody can tell which process it is
  const std::uint64_t until = clock_ms() + kEndMs;
  Progress progress;
  // Mounts that no configuration names have their places there as well.
  std::error_code unreadable;
  for (const auto& file : std::filesystem::directory_iterator(run_folder(loaded.config.folder), unreadable)) {
    if (file.path().extension() != ".pid") continue;
    const std::string node = file.path().stem();
    for (auto client = living_process(file.path()); client && client->detail == mount_point;
         client = living_process(file.path())) {
      if (clock_ms() >= until) {
        std::fprintf(stderr, "unmounted; node %s (process %d) is still at work, its log is %s\n", node.c_str(),
                     static_cast<int>(client->pid), log_path(loaded.config.folder, node).c_str());
        return;
      }
      progress.tell("waiting for node " + node + " to write what it holds");
      pause_ms(10);
    }
  }
}

}  // namespace

int umount(const std::string& mount_point) {
  const std::string absolute = absolute_path(mount_point);
  const MountState state = mount_state(absolute);
  if (state == MountState::none) {
    std::fprintf(stderr, "no Rideau file system is mounted at %s\n", absolute.c_str());
    return kFailed;
  }
  const std::optional<std::string> config = mounted_from(absolute);
  std::string why;
  if (!unmount(absolute, state == MountState::stale, &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  if (config) await_end_of_client(*config, absolute);
  return kDone;
}

}  // namespace rideau::tools
