// SPDX-License-Identifier: Apache-2.0
// A client of the cluster at a mount point, from its transport to the kernel: for `rideau mount`, and for a process
// that serves and mounts.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "framework/runtime/real_runtime.hpp"
#include "plugins/tools/commands.hpp"
#include "plugins/tools/control.hpp"
#include "plugins/tools/process.hpp"
#include "plugins/tools/signals.hpp"

#include <functional>
#include <string>

namespace rideau::client {
class FileSystem;
}

namespace rideau::tools {

struct MountSession {
  RealRuntime& runtime;
  Logger& log;
  const PluginCatalog& catalog;
  const ClusterConfig& cluster;
  const NodeConfig& node;
  std::string mount_point;
  bool default_permissions;
  std::string kernel_options;
  std::function<void(const std::string& problem)> report;  // called once: mounted (no problem), or why not
  PidFile& pid_file;
  Control& control;
  int result = kFailed;
  client::FileSystem* files = nullptr;  // while it is mounted
};

// Until it is unmounted, which a signal asks for too; everything is written then.
Task<> run_mount(MountSession& session, StopSignals& signals);

// Whether the cluster can be mounted there; takes the mount of a dead client away first.
bool prepare_mount_point(const std::string& mount_point, const ClusterConfig& cluster, std::string* why);

}  // namespace rideau::tools
