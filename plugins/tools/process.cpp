// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <fstream>
#include <utility>

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rideau::tools {
namespace {

PidRecord read_record(const std::string& path) {
  PidRecord record;
  std::ifstream file(path);
  std::string first;
  std::getline(file, first);
  std::getline(file, record.detail);
  record.pid = static_cast<pid_t>(std::strtol(first.c_str(), nullptr, 10));
  return record;
}

}  // namespace

PidFile::PidFile(PidFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

PidFile::~PidFile() {
  if (descriptor_ < 0) return;
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

void PidFile::leave_to_child() noexcept {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

bool PidFile::acquire(const std::string& path, PidRecord* holder, std::string* why) {
  for (;;) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor < 0) {
      *why = "cannot write " + path + ": " + std::strerror(errno);
      return false;
    }
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      ::close(descriptor);
      *holder = read_record(path);
      return false;
    }
    // Between open and lock the file may have been removed by its last holder: then the lock is on nothing.
    struct stat opened {};
    struct stat named {};
    const bool same =
        ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino;
    if (same) {
      path_ = path;
      descriptor_ = descriptor;
      return true;
    }
    ::close(descriptor);
  }
}

bool PidFile::record(const std::string& detail) {
  const std::string text = std::to_string(::getpid()) + "\n" + detail + "\n";
  return ::ftruncate(descriptor_, 0) == 0 &&
         ::pwrite(descriptor_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
}

std::optional<PidRecord> living_process(const std::string& pid_file) {
  const int descriptor = ::open(pid_file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  const bool held = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0;
  ::close(descriptor);
  if (!held) return std::nullopt;
  return read_record(pid_file);
}

pid_t start_detached(const std::vector<std::string>& arguments, const std::string& log, std::string* why) {
  const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) {
    *why = "cannot write " + log + ": " + std::strerror(errno);
    return 0;
  }
  std::vector<char*> words;
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::setsid();
    const int input = ::open("/dev/null", O_RDONLY);
    ::dup2(input, 0);
    ::dup2(output, 1);
    ::dup2(output, 2);
    ::close_range(3, ~0u, 0);  // a file that the caller has open on a mount would keep it busy
    ::execv(words[0], words.data());
    ::_exit(127);
  }
  ::close(output);
  if (child < 0) {
    *why = std::string("cannot start a process: ") + std::strerror(errno);
    return 0;
  }
  return child;
}

bool child_ended(pid_t pid) {
  int status = 0;
  return ::waitpid(pid, &status, WNOHANG) == pid;
}

bool end_process(const std::string& pid_file, std::uint32_t patience_ms, bool* killed) {
  const std::optional<PidRecord> process = living_process(pid_file);
  if (!process || process->pid <= 1) return false;
  ::kill(process->pid, SIGTERM);
  const std::uint64_t until = clock_ms() + patience_ms;
  while (living_process(pid_file)) {
    if (clock_ms() >= until) {
      ::kill(process->pid, SIGKILL);
      if (killed != nullptr) *killed = true;
      // The kernel frees the lock when the process is gone; a process stuck in the kernel may take its time.
      for (int i = 0; i < 100 && living_process(pid_file); ++i) pause_ms(50);
      break;
    }
    pause_ms(10);
  }
  return true;
}

void prepare_node_process() {
  // The kernel must not wait for a write-back through this process while this process waits for memory.
  ::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
  // Buffers of data come and go all the time: memory that goes back to the kernel with each costs a page fault for
  // every 4 KiB when it is needed again. What stays is bounded by what the caches may hold.
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_TOP_PAD, 1 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 8 << 20);
}

std::string own_program() {
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path - 1);
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string("rideau");
}

bool hold_stopped_node(const std::string& cluster_folder, const std::string& node, const std::string& detail,
                       PidFile* held, std::string* why) {
  PidRecord holder;
  if (!make_folder(run_folder(cluster_folder), why) || !held->acquire(pid_path(cluster_folder, node), &holder, why)) {
    if (why->empty()) *why = "node " + node + " runs: process " + std::to_string(holder.pid) + "; stop it first";
    return false;
  }
  held->record(detail);
  return true;
}

std::string run_folder(const std::string& cluster_folder) { return cluster_folder + "/run"; }
std::string log_folder(const std::string& cluster_folder) { return cluster_folder + "/log"; }
std::string pid_path(const std::string& cluster_folder, const std::string& node) {
  return run_folder(cluster_folder) + "/" + node + ".pid";
}
std::string socket_path(const std::string& cluster_folder, const std::string& node) {
  return run_folder(cluster_folder) + "/" + node + ".sock";
}
std::string log_path(const std::string& cluster_folder, const std::string& node) {
  return log_folder(cluster_folder) + "/" + node + ".log";
}

bool make_folder(const std::string& path, std::string* why) {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return true;
  *why = "cannot make the folder " + path + ": " + std::strerror(errno);
  return false;
}

bool make_folders(const std::string& path, std::string* why) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    if (!make_folder(path.substr(0, slash), why)) return false;
    if (slash == path.npos) return true;
  }
}

std::string last_lines(const std::string& file, std::size_t lines) {
  std::ifstream in(file);
  std::deque<std::string> kept;
  for (std::string line; std::getline(in, line);) {
    kept.push_back(line);
    if (kept.size() > lines) kept.pop_front();
  }
  std::string text;
  for (const std::string& line : kept) text += "  " + line + "\n";
  return text;
}

void pause_ms(std::uint32_t ms) {
  const timespec time{static_cast<time_t>(ms / 1000), static_cast<long>(ms % 1000) * 1'000'000};
  ::nanosleep(&time, nullptr);
}

std::uint64_t clock_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1000 + static_cast<std::uint64_t>(time.tv_nsec) / 1'000'000;
}

}  // namespace rideau::tools
