// SPDX-License-Identifier: Apache-2.0
// Workload: processes on several mounts that work on the same few names and files, and the record of what they saw.
//
// Names: a few directories, few names, every kind of call, so that conflicts are the rule. Bytes: each file has one
// process that writes it; everybody reads it.
#pragma once

#include "tests/sim/history.hpp"
#include "tests/sim/model_fs.hpp"
#include "tests/sim/sim_kernel.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace rideau::sim {

// What a process needs of the mount it runs on.
struct Mount {
  std::string name;
  SimRuntime* runtime = nullptr;
  SimKernel* kernel = nullptr;
  client::FileSystem* file_system = nullptr;
  TaskGroup* tasks = nullptr;
};

struct WorkloadOptions {
  std::uint32_t processes = 2;  // of each mount
  std::uint32_t calls = 20;     // of each process, roughly
  std::uint32_t names = 4;      // that all fight about
  std::uint64_t think_ns_max = 3 * kMillisecond;
  std::uint64_t offset_max = 200 * 1024;
};

class Workload {
 public:
  Workload(SimWorld& world, WorkloadOptions options);

  // Makes the directories and files. On any mount, before start().
  Task<> prepare(Mount& mount);
  // Starts the processes of every mount.
  void start(std::vector<Mount>& mounts);
  // Looks at everything, from a mount that has seen nothing yet. After all processes have ended.
  Task<> look(Mount& mount);
  // Removes everything that the workload made.
  Task<> clean(Mount& mount);

  std::uint32_t running() const noexcept { return running_; }
  std::uint64_t calls_returned() const noexcept { return calls_returned_; }
  const History& history() const noexcept { return history_; }
  // Calls that have not returned, a line each.
  std::string waiting() const;
  // Everything the checkers have to say; empty: all is well.
  std::string check() const;

 private:
  struct Group {
    std::vector<fs::InodeId> directories;
  };
  struct SharedFile {
    std::string name;
    fs::InodeId inode = fs::kNoInode;
  };
  // A process: what it has come to know.
  struct Process {
    Mount* mount = nullptr;
    std::string name;
    Random random{0};
    std::vector<std::vector<fs::InodeId>> subdirectories;  // by group
    std::vector<std::vector<fs::InodeId>> inodes;          // by group: files and links
    std::uint32_t file = 0;
    bool writes = false;
    FileId writing = 0;
  };

  Task<> run_process(Process process);
  Task<> think(Process& process);
  Task<> work_on_names(Process& process);
  Task<> work_on_bytes(Process& process);
  Task<> write_some(Process& process);
  Task<> read_some(Process& process);
  void choose_place(Process& process, NameOp& op, fs::InodeId& directory, std::string& name);
  // Makes the call that `op` describes and records it.
  Task<> call(Mount& mount, NameOp op, NameOp& seen);
  Task<> make_call(Mount& mount, NameOp& op);
  Task<> look_into(Mount& mount, std::uint32_t group, fs::InodeId directory);
  Task<> clean_directory(Mount& mount, fs::InodeId directory);
  std::size_t begin(DataOp op);
  void end(std::size_t index);
  void fail(const std::string& who, const std::string& what, Status status);

  SimWorld& world_;
  const WorkloadOptions options_;
  fs::InodeId data_directory_ = fs::kNoInode;
  std::vector<Group> groups_;
  std::vector<SharedFile> files_;
  History history_;
  std::uint32_t running_ = 0;
  std::uint64_t calls_returned_ = 0;
  std::uint64_t next_stamp_ = 1;
};

}  // namespace rideau::sim
