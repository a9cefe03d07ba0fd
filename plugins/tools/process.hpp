// SPDX-License-Identifier: Apache-2.0
// Processes of the machine: starting one that stays, knowing whether it lives, ending it. A node's process holds a lock
// on its pid file for as long as it lives, so a file that was left behind is never taken for a living process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace rideau::tools {

struct PidRecord {
  pid_t pid = 0;
  std::string detail;  // second line: a client's mount point
};

// Held by the process that a pid file names.
class PidFile {
 public:
  PidFile() = default;
  PidFile(PidFile&& other) noexcept;
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile();  // removes the file
  // False when another process holds it (*holder tells which) or the file cannot be written (*why says so).
  bool acquire(const std::string& path, PidRecord* holder, std::string* why);
  // Writes this process's id; after a fork, in the child.
  bool record(const std::string& detail);
  // The lock goes on in a child of this process; this one forgets it without removing the file.
  void leave_to_child() noexcept;

 private:
  std::string path_;
  int descriptor_ = -1;
};

// The living process that holds the file.
std::optional<PidRecord> living_process(const std::string& pid_file);

// For work on the data of a node that must not run meanwhile, and cannot be started: `detail` is what is done.
bool hold_stopped_node(const std::string& cluster_folder, const std::string& node, const std::string& detail,
                       PidFile* held, std::string* why);

// Starts `arguments` (the first is the program) apart from this terminal, output appended to `log`. 0 when it failed.
pid_t start_detached(const std::vector<std::string>& arguments, const std::string& log, std::string* why);
// True when our child `pid` has ended.
bool child_ended(pid_t pid);
// TERM, then KILL after `patience_ms`. False when it was not there.
bool end_process(const std::string& pid_file, std::uint32_t patience_ms, bool* killed = nullptr);

// What a process asks of the kernel and of the C library before it becomes a node.
void prepare_node_process();

std::string own_program();  // path of this binary
std::string run_folder(const std::string& cluster_folder);
std::string log_folder(const std::string& cluster_folder);
std::string pid_path(const std::string& cluster_folder, const std::string& node);
std::string socket_path(const std::string& cluster_folder, const std::string& node);
std::string log_path(const std::string& cluster_folder, const std::string& node);
bool make_folder(const std::string& path, std::string* why);
// With everything above it.
bool make_folders(const std::string& path, std::string* why);
std::string last_lines(const std::string& file, std::size_t lines);
void pause_ms(std::uint32_t ms);
std::uint64_t clock_ms();

}  // namespace rideau::tools
