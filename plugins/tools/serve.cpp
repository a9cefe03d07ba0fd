// SPDX-License-Identifier: Apache-2.0
// `rideau serve`: one node, in the foreground, until it is asked to stop.
#include "framework/node/node.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/roles/roles.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control.hpp"
#include "plugins/tools/mount_table.hpp"
#include "plugins/tools/mounted.hpp"
#include "plugins/tools/probe.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/setup.hpp"
#include "plugins/tools/signals.hpp"

#include <cstdio>

namespace rideau::tools {
namespace {

// Roles given on the command line must be those of the file: a mix-up of machines shows at once.
bool roles_agree(const NodeConfig& node, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return true;
  std::size_t known = 0;
  for (const std::string& word : wanted) {
    for (const Role role : node.roles) known += word == role_name(role) ? 1 : 0;
  }
  return known == wanted.size() && known == node.roles.size();
}

std::string roles_text(const NodeConfig& node) {
  std::string text;
  for (const Role role : node.roles) text += (text.empty() ? "" : ",") + std::string(role_name(role));
  return text;
}

// With a mount point in `session` the node is a client too, and lives as long as that is mounted.
Task<> serve_node(Node& node, MountSession& session, StopSignals& signals) {
  std::string problem;
  if (!session.control.start(&problem)) {
    session.log.error("%s", problem.c_str());
    co_await session.control.stop();
    co_return;
  }
  const Status started = co_await node.start();
  if (!started.ok()) {
    session.result = node.bad_configuration() ? kUsage : kFailed;
  } else if (session.mount_point.empty()) {
    session.pid_file.record(node.bound_address());
    session.result = kDone;
    co_await signals.wait(session.runtime);
  } else {
    co_await run_mount(session, signals);
  }
  if (started.ok()) session.log.info("stopping");
  co_await session.control.stop();
  co_await node.stop();
}

Task<HttpAnswer> own_targets(Runtime& runtime, Logger& log, const ClusterConfig& cluster, const PluginCatalog& catalog,
                             const NodeConfig& node) {
  const std::vector<TargetHealth> healths = co_await probe_own_targets(runtime, log, cluster, catalog, node);
  co_return HttpAnswer{200, "application/json", to_json(healths)};
}

Task<HttpAnswer> reload_node(Node& node, const std::string& file) {
  constexpr const char* kText = "text/plain; charset=utf-8";
  const ConfigResult now = load_cluster_config(file);
  if (!now.ok()) co_return HttpAnswer{409, kText, to_text(now.problems)};
  std::string why;
  if (!node.grow(now.config, &why)) co_return HttpAnswer{409, kText, why + "; start the nodes again for that\n"};
  co_return HttpAnswer{200, kText, "done\n"};
}

}  // namespace

int serve(const CommonOptions& common, const ServeOptions& options) {
  StopSignals signals(options.log_file);
  const PluginCatalog catalog = make_catalog(common);
  ClusterConfig cluster;
  if (!load_config(options.config, nullptr, &cluster)) return kUsage;
  const NodeConfig* config = cluster.find(options.node);
  if (config == nullptr) {
    std::fprintf(stderr, "%s: there is no node \"%s\"; the file has:", cluster.file.c_str(), options.node.c_str());
    for (const NodeConfig& node : cluster.nodes) std::fprintf(stderr, " %s", node.name.c_str());
    std::fputc('\n', stderr);
    return kUsage;
  }
  if (!roles_agree(*config, options.roles)) {
    std::fprintf(stderr, "%s: node \"%s\" has the roles %s; leave out --role or give exactly these\n",
                 cluster.file.c_str(), config->name.c_str(), roles_text(*config).c_str());
    return kUsage;
  }
  if (config->targets.empty()) {
    std::fprintf(stderr, "node \"%s\" is a client: use `rideau mount --config %s MOUNTPOINT`\n", config->name.c_str(),
                 cluster.file.c_str());
    return kUsage;
  }
  std::string why;
  const std::string mount_point = options.mount_point.empty() ? "" : absolute_path(options.mount_point);
  if (!mount_point.empty() && !config->has(Role::client)) {
    std::fprintf(stderr, "--mount: node \"%s\" does not have the role client\n", config->name.c_str());
    return kUsage;
  }
  if (!options.log_file.empty() && !open_log_file(options.log_file, &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  if (!make_folder(run_folder(cluster.folder), &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  PidFile pid_file;
  PidRecord holder;
  // One that was killed a moment ago holds it until the kernel has taken it apart.
  const std::uint64_t until = clock_ms() + 1'000;
  bool acquired = pid_file.acquire(pid_path(cluster.folder, config->name), &holder, &why);
  for (; !acquired && why.empty() && clock_ms() < until; pause_ms(10)) {
    acquired = pid_file.acquire(pid_path(cluster.folder, config->name), &holder, &why);
  }
  if (!acquired) {
    if (!why.empty()) {
      std::fprintf(stderr, "%s\n", why.c_str());
    } else {
      const std::string where = holder.detail.empty() ? ", about to listen" : " on " + holder.detail;
      std::fprintf(stderr, "node %s runs already: process %d%s\n", config->name.c_str(), static_cast<int>(holder.pid),
                   where.c_str());
    }
    return kFailed;
  }
  pid_file.record("");
  if (!mount_point.empty() && !prepare_mount_point(mount_point, cluster, &why)) {
    std::fprintf(stderr, "%s\n", why.c_str());
    return kFailed;
  }
  prepare_node_process();
  const std::unique_ptr<Logger> log = make_log(common, *config);
  RealRuntime runtime({config->spin_ns, config->blocking_threads});
  Node node(runtime, *log, catalog, cluster, *config);
  roles::add_roles(node);
  Control control(runtime, *log, cluster, *config);
  control.set_log_file(options.log_file);
  control.serve_node(node);
  control.add("GET /targets", [&](std::string) { return own_targets(runtime, *log, cluster, catalog, *config); });
  control.add("POST /reload", [&](std::string) { return reload_node(node, cluster.file); });
  const MetricRegistration figures(control.metrics(), node);
  const auto tell = [&log](const std::string& problem) {
    if (!problem.empty()) log->error("%s", problem.c_str());
  };
  MountSession session{runtime, *log, catalog,  cluster, *config, mount_point, config->client.default_permissions,
                       "",      tell, pid_file, control};
  runtime.run(serve_node(node, session, signals));
  return session.result;
}

}  // namespace rideau::tools
