// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/mounted.hpp"

#include "framework/node/node.hpp"
#include "framework/node/transports.hpp"
#include "framework/runtime/real_memory_gauge.hpp"
#include "framework/runtime/real_shared_memory.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/client/connect.hpp"
#include "plugins/client/file_system.hpp"
#include "plugins/client/fuse_mount.hpp"
#include "plugins/tools/mount_table.hpp"

#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

// What the mount and all below it tell about themselves, as long as they are there.
class MountFigures final : public MetricSource {
 public:
  MountFigures(const NodeTransports& transports, const client::FileSystem& files, const client::FuseMount& mounted)
      : transports_(transports), files_(files), mounted_(mounted) {}
  void collect(MetricList& to) const override {
    files_.collect(to);
    mounted_.collect(to);
    for (const auto& transport : transports_.instances()) {
      if (transport != nullptr) collect_plugin(to, *transport);
    }
  }

 private:
  const NodeTransports& transports_;
  const client::FileSystem& files_;
  const client::FuseMount& mounted_;
};

Task<> end_on_signal(Runtime& runtime, StopSignals& signals, client::FuseMount& mounted) {
  co_await signals.wait(runtime);
  mounted.unmount();
}

Task<> run_mounted(MountSession& session, StopSignals& signals, const NodeTransports& transports,
                   client::FileSystem& files, const std::string& name) {
  client::FuseOptions options;
  options.mountpoint = session.mount_point;
  options.fs_name = name;
  options.allow_other = ::geteuid() == 0;
  options.default_permissions = session.default_permissions;
  options.kernel_options = session.kernel_options;
  client::FuseMount mounted(session.runtime, session.log, files, options);
  std::string problem;
  const Status done = mounted.mount(&problem);
  if (!done.ok()) {
    session.report(problem);
    co_return;
  }
  const MountFigures figures(transports, files, mounted);
  const MetricRegistration registration(session.control.metrics(), figures);
  session.pid_file.record(session.mount_point);
  session.log.info("mounted at %s", session.mount_point.c_str());
  session.report("");
  TaskGroup tasks(session.runtime);
  tasks.spawn(end_on_signal(session.runtime, signals, mounted));
  co_await mounted.serve();
  session.log.info("unmounted from %s", session.mount_point.c_str());
  session.result = kDone;
}

}  // namespace

Task<> run_mount(MountSession& session, StopSignals& signals) {
  RealSharedMemory memory;  // outlives the transports
  RealMemoryGauge gauge;
  NodeTransports transports(session.runtime, session.log, session.catalog, session.cluster, session.node);
  const Status transport = co_await transports.start(session.node.name + ".transport", NodeTransports::Wanted::needed);
  if (!transport.ok()) {
    session.report(transports.problem());
    if (transports.bad_configuration()) session.result = kUsage;
    const Status ended = co_await transports.stop();
    static_cast<void>(ended);  // it is in the log
    co_return;
  }
  {
    client::FileSystemOptions options = client::file_system_options(
        session.runtime, session.cluster, session.node.client, transports, gauge, session.mount_point);
    options.objects_now = client::object_targets_of_file(session.cluster.file, transports);
    if (memory.usable() && transports.offer(memory)) options.lendable = &memory;
    client::FileSystem files(session.runtime, session.log, std::move(options));
    const Status started = co_await files.start();
    if (started.ok()) {
      session.files = &files;
      co_await run_mounted(session, signals, transports, files, session.cluster.file);
      session.files = nullptr;
    } else {
      session.report("cannot reach the cluster " + session.cluster.name + ": " + status_text(started) +
                     "; `rideau status --config " + session.cluster.file + "` tells which server is missing");
    }
    const Status stopped = co_await files.stop();
    if (!stopped.ok())
      session.log.error("not everything could be written before the end: %s", status_text(stopped).c_str());
  }
  const Status ended = co_await transports.stop();
  static_cast<void>(ended);  // it is in the log
}

bool prepare_mount_point(const std::string& mount_point, const ClusterConfig& cluster, std::string* why) {
  if (lies_in(cluster.folder, mount_point)) {
    *why = "the folder of the cluster, " + cluster.folder + ", lies inside the mount point " + mount_point +
           ": its servers would wait for themselves; choose another mount point";
    return false;
  }
  switch (mount_state(mount_point)) {
    case MountState::alive:
      *why = mount_point + " is mounted already; `rideau umount " + mount_point + "` ends that";
      return false;
    case MountState::stale:
      if (!unmount(mount_point, true, why)) return false;
      break;
    case MountState::none:
      break;
  }
  struct stat point {};
  if (::stat(mount_point.c_str(), &point) != 0) {
    *why = "mount point " + mount_point + ": " + std::strerror(errno) + "; make it with `mkdir -p`";
    return false;
  }
  if (!S_ISDIR(point.st_mode)) {
    *why = "mount point " + mount_point + " is not a folder";
    return false;
  }
  return true;
}

}  // namespace rideau::tools
