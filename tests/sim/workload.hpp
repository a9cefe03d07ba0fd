// SPDX-License-Identifier: Apache-2.0
// Workload: processes on several mounts that work on the same few names and files, and the record of what they saw.
//
// Names: a few directories, few names, every kind of call, so that conflicts are the rule. Bytes: each file has one
// process that writes it at a time, which others take over from it, also while it sleeps; everybody reads it. With maps
// there is one more file that everybody writes at once, each mostly in a place of his own, unaligned, so that
// neighbours share pages.
#pragma once

#include "tests/sim/history.hpp"
#include "tests/sim/model_fs.hpp"
#include "tests/sim/sim_kernel.hpp"

#include <cstdint>
#include <map>
#include <set>
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

// What faults were done, as far as calls may fail through them.
struct Trouble {
  bool no_space = false;
  bool names_fail = false;  // the metadata target may stop after an error of its index
  bool bytes_fail = false;  // so may an object target, or a single read or write
  bool bytes_rot = false;
  bool objects_lost = false;           // an object target forgot what was not flushed
  bool disks_lag = false;              // what is committed takes its time
  bool healed = false;                 // nothing fails any more but what was damaged
  std::set<std::string> lost_session;  // mounts
  // When the metadata server died: with it went changes of clients that did not come back in time.
  std::vector<std::uint64_t> meta_deaths_ns;
};

struct WorkloadOptions {
  std::uint32_t processes = 2;  // of each mount
  std::uint32_t calls = 20;     // of each process, roughly
  std::uint32_t names = 4;      // that all fight about
  std::uint64_t think_ns_max = 3 * kMillisecond;
  std::uint64_t offset_max = 200 * 1024;
  bool small = false;                  // files of a few KiB, mostly
  bool maps = false;                   // some changes are stores into maps, some reads loads from them
  std::uint32_t shared_percent = 0;    // with maps: of calls on bytes, those on the file that everybody writes
  std::set<std::uint32_t> only_calls;  // by number, as calls_planned() counts; empty: all
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

  std::uint32_t running() const noexcept;
  std::uint32_t calls_planned() const noexcept { return calls_planned_; }

  // What happens to the world, told as it happens.
  Trouble& trouble() noexcept { return trouble_; }
  // A mount is gone, and its processes with it.
  void lose_mount(const std::string& name);
  // A client was told that its session is gone.
  void lose_session(const std::string& mount);
  // An object target forgot what it had not made durable.
  void lose_objects();
  // Until end_losing(), what is written may fail after it was acknowledged.
  void begin_losing();
  void end_losing();
  // The same to the end of the run: a write that has to read what is rotten fails.
  void lose_for_good();
  std::uint64_t calls_returned() const noexcept { return calls_returned_; }
  const History& history() const noexcept { return history_; }
  // Calls that have not returned, a line each.
  std::string waiting() const;
  // Everything the checkers have to say; empty: all is well.
  std::string check() const;
  // Searches of check() that ended without an answer.
  std::uint32_t undecided() const noexcept { return undecided_; }

 private:
  static constexpr std::uint32_t kOwnFiles = 3;                // with one writer each
  static constexpr std::uint32_t kEverybodysFile = kOwnFiles;  // with maps

  struct Group {
    std::vector<fs::InodeId> directories;
  };
  struct SharedFile {
    std::string name;
    fs::InodeId inode = fs::kNoInode;
    std::string writer;  // the process that writes it now
  };
  // A file of a process that has no name any more.
  struct Orphan {
    FileId file = 0;  // 0: there is none
    std::uint64_t stamp = 0;
    std::uint64_t size = 0;
    std::size_t losses = 0;  // that the history had when it was written
    bool synced = false;
  };
  // A process: what it has come to know.
  struct Process {
    Mount* mount = nullptr;
    std::string name;
    Random random{0};
    std::vector<std::vector<fs::InodeId>> subdirectories;  // by group
    std::vector<std::vector<fs::InodeId>> inodes;          // by group: files and links
    std::uint32_t file = 0;
    FileId writing = 0;
    bool took_over = false;  // and has not looked at the file since
    FileId shared = 0;       // kEverybodysFile
    Orphan orphan;
    std::uint32_t first_call = 0;
  };

  Task<> run_process(Process process);
  Task<> think(Process& process);
  Task<> take_a_moment(Process& process);
  Task<> work_on_names(Process& process);
  Task<> work_on_bytes(Process& process);
  Task<> write_some(Process& process);
  // Into a map, where the file has bytes; false: it failed.
  Task<bool> store_some(Process& process, FileId file, DataOp op);
  std::uint64_t choose_offset(Random& random) const;
  // The process writes another file from now on, if nobody is about to.
  Task<> take_over(Process& process);
  Task<> work_on_shared(Process& process);
  Task<> write_shared(Process& process);
  Task<> close_shared(Process& process);
  bool is_quiet(std::uint32_t file) const;
  Task<> work_on_orphan(Process& process);
  Task<> make_orphan(Process& process);
  Task<> look_at_orphan(Process& process);
  Task<> read_some(Process& process);
  Task<> read_file(Process& process, std::uint32_t file);
  void choose_place(Process& process, NameOp& op, fs::InodeId& directory, std::string& name);
  // Makes the call that `op` describes and records it.
  Task<> call(Mount& mount, NameOp op, NameOp& seen);
  Task<> make_call(Mount& mount, NameOp& op);
  Task<> look_into(Mount& mount, std::uint32_t group, fs::InodeId directory);
  Task<> clean_directory(Mount& mount, fs::InodeId directory);
  std::size_t begin(DataOp op);
  void end(std::size_t index, Status status = kOk);
  // An error that nothing excuses.
  void fail(const std::string& who, const std::string& what, Status status);
  // An error of a call on names, or on bytes: a failure, unless trouble excuses it.
  void look_at_name_error(const std::string& who, NameOp& op);
  void look_at(const std::string& who, const std::string& what, Status status);
  // After everything has healed, by somebody who wrote nothing.
  void look_at_strictly(const std::string& who, const std::string& what, Status status);
  bool excuses_names(const std::string& who, int error) const;
  bool excuses_bytes(const std::string& who, int error) const;
  void note_what_may_be_lost(std::vector<NameOp>& ops) const;
  Task<> close_writing(Process& process);

  SimWorld& world_;
  const WorkloadOptions options_;
  fs::InodeId data_directory_ = fs::kNoInode;
  std::vector<Group> groups_;
  std::vector<SharedFile> files_;
  History history_;
  Trouble trouble_;
  std::map<std::string, std::uint32_t> running_;          // by mount
  std::map<std::string, std::uint64_t> session_lost_ns_;  // when a mount was told so last
  std::uint32_t calls_planned_ = 0;
  mutable std::uint32_t undecided_ = 0;
  std::uint64_t calls_returned_ = 0;
  std::uint64_t next_stamp_ = 1;
};

}  // namespace rideau::sim
