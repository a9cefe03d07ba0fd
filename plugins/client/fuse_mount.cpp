// SPDX-License-Identifier: Apache-2.0
// Mounting and unmounting: as root through mount(2), otherwise through fusermount3.
#include "plugins/client/fuse_server.hpp"

#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rideau::client {
namespace {

constexpr unsigned kReadAheadKib = 1024;  // the kernel's own choice for FUSE is 128

// libfuse says why a mount failed in its log alone; the last such line, for `problem`.
std::string last_libfuse_message;

void keep_libfuse_message(fuse_log_level, const char* format, va_list arguments) {
  char line[512];
  std::vsnprintf(line, sizeof line, format, arguments);
  last_libfuse_message = line;
  while (!last_libfuse_message.empty() && std::isspace(static_cast<unsigned char>(last_libfuse_message.back())) != 0) {
    last_libfuse_message.pop_back();
  }
}

bool have_fusermount() {
  for (const char* path : {"/usr/local/bin/fusermount3", "/usr/bin/fusermount3", "/bin/fusermount3"}) {
    if (::access(path, X_OK) == 0) return true;
  }
  return false;
}

// Linux shows the groups of a process in its status file.
std::vector<std::uint32_t> read_groups(std::int32_t process) {
  std::vector<std::uint32_t> groups;
  if (process <= 0) return groups;
  const std::string path = "/proc/" + std::to_string(process) + "/status";
  std::FILE* file = std::fopen(path.c_str(), "re");
  if (file == nullptr) return groups;
  char* line = nullptr;
  std::size_t room = 0;
  while (::getline(&line, &room, file) >= 0) {
    if (std::strncmp(line, "Groups:", 7) != 0) continue;
    char* at = line + 7;
    for (;;) {
      char* end = nullptr;
      const unsigned long group = std::strtoul(at, &end, 10);
      if (end == at || groups.size() >= limits::kGroupsMax) break;
      groups.push_back(static_cast<std::uint32_t>(group));
      at = end;
    }
    break;
  }
  std::free(line);
  std::fclose(file);
  return groups;
}

Task<std::vector<std::uint32_t>> fetch_groups(Runtime* runtime, std::int32_t process) {
  std::vector<std::uint32_t> groups;
  const auto read = [&groups, process] {
    groups = read_groups(process);
    return kOk;
  };
  co_await run_blocking(*runtime, read);
  co_return groups;
}

// "0:45" of the file system mounted there, without asking that file system; empty when it is not found.
std::string device_of_mount(const std::string& mountpoint) {
  std::FILE* file = std::fopen("/proc/self/mountinfo", "re");
  if (file == nullptr) return {};
  std::string device;
  char* line = nullptr;
  std::size_t room = 0;
  while (::getline(&line, &room, file) >= 0) {
    char number[32];
    char where[4096];
    if (std::sscanf(line, "%*d %*d %31s %*s %4095s", number, where) == 2 && mountpoint == where) device = number;
  }
  std::free(line);
  std::fclose(file);
  return device;
}

void on_init(void* user, fuse_conn_info* connection) {
  const auto want = [connection](unsigned capability, bool wanted) {
    if (wanted) {
      connection->want |= connection->capable & capability;
    } else {
      connection->want &= ~capability;
    }
  };
  want(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE, false);
  // The kernel's size and times would shadow what other clients do.
  want(FUSE_CAP_WRITEBACK_CACHE, false);
  // Pages are taken back by message, but a size that another client made smaller is learned by asking before each read.
  want(FUSE_CAP_AUTO_INVAL_DATA, true);
  want(FUSE_CAP_EXPLICIT_INVAL_DATA, false);
  want(FUSE_CAP_EXPORT_SUPPORT | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO |
           FUSE_CAP_IOCTL_DIR,
       true);
  want(FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO, true);
  // What a new name gets of the umask hangs on its directory's list.
  want(FUSE_CAP_DONT_MASK, true);
  // A kernel that decides needs the lists; with this capability every kernel decides.
  want(FUSE_CAP_POSIX_ACL, static_cast<const FuseMount::Impl*>(user)->options.default_permissions);
  // The target of a symbolic link never changes, and numbers of inodes are not used again.
  want(FUSE_CAP_CACHE_SYMLINKS, true);
  connection->max_write = kTransferBytesMax;
  connection->max_background = 64;
  connection->congestion_threshold = 48;
  connection->time_gran = 1;
}

}  // namespace

bool kernel_guards_links() {
  const int file = ::open("/proc/sys/fs/protected_hardlinks", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char digit = '0';
  const ssize_t size = ::read(file, &digit, 1);
  ::close(file);
  return size == 1 && digit != '0';
}

const fuse_lowlevel_ops& fuse_operations() {
  static const fuse_lowlevel_ops operations = [] {
    fuse_lowlevel_ops ops{};
    ops.init = on_init;
    add_name_operations(ops);
    add_attribute_operations(ops);
    add_file_operations(ops);
    add_lock_operations(ops);
    return ops;
  }();
  return operations;
}

Status FuseMount::Impl::mount(std::string* problem) {
  const bool root = ::geteuid() == 0;
  if (!root && !have_fusermount()) {
    *problem = "mounting as an ordinary user needs fusermount3: install the package fuse3, or mount as root";
    return {Code::unsupported, 0, "mount"};
  }
  if (::access("/dev/fuse", F_OK) != 0) {
    *problem = "/dev/fuse is missing: load the kernel module (modprobe fuse), or give the container the device";
    return {Code::unsupported, errno, "mount"};
  }
  std::string wanted = "fsname=";
  for (const char letter : options.fs_name) {
    if (letter == ',' || letter == '\\') wanted += '\\';
    wanted += letter;
  }
  wanted += ",subtype=rideau";
  if (options.default_permissions) wanted += ",default_permissions";
  if (options.allow_other) wanted += ",allow_other";
  // As other file systems do it, root's mounts run set-user-id programs. Device nodes stay closed: without
  // default_permissions the kernel would open them for anybody who comes to their name.
  if (root) wanted += ",suid";
  if (!options.kernel_options.empty()) wanted += "," + options.kernel_options;
  fuse_set_log_func(keep_libfuse_message);
  last_libfuse_message.clear();
  fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
  fuse_opt_add_arg(&arguments, "rideau");
  fuse_opt_add_arg(&arguments, "-o");
  fuse_opt_add_arg(&arguments, wanted.c_str());
  session = fuse_session_new(&arguments, &fuse_operations(), sizeof(fuse_lowlevel_ops), this);
  fuse_opt_free_args(&arguments);
  if (session == nullptr) {
    *problem = "libfuse does not accept the options \"" + wanted + "\": " + last_libfuse_message;
    return {Code::invalid, 0, "mount"};
  }
  if (fuse_session_mount(session, options.mountpoint.c_str()) != 0) {
    const int error = errno;
    *problem = "cannot mount on " + options.mountpoint + ": " +
               (last_libfuse_message.empty() ? std::strerror(error) : last_libfuse_message);
    fuse_session_destroy(session);
    session = nullptr;
    return {Code::io_error, error, "mount"};
  }
  fd = fuse_session_fd(session);
  fuse_custom_io io{};
  io.writev = write_answer;
  io.read = read_nothing;
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || fuse_session_custom_io(session, &io, fd) != 0) {
    *problem = std::string("preparing the FUSE descriptor: ") + std::strerror(errno);
    unmount();
    return {Code::io_error, errno, "mount"};
  }
  // Our own process must not be among those who open files by the descriptor.
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  files.set_kernel_cache(&cache);
  Runtime* host = &runtime;
  files.set_groups_provider([host](std::int32_t process) { return fetch_groups(host, process); });
  return kOk;
}

void FuseMount::Impl::unmount() {
  if (session == nullptr || ending) return;
  ending = true;
  cache.stop();
  fuse_session_exit(session);
  runtime.forget_fd(fd);
  fuse_session_unmount(session);
  fd = -1;
}

// Sequential reads of the page cache in larger steps; root alone may say so, and nothing depends on it.
void FuseMount::Impl::raise_read_ahead() {
  const std::string device = device_of_mount(options.mountpoint);
  if (device.empty()) return;
  const std::string path = "/sys/class/bdi/" + device + "/read_ahead_kb";
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  const std::string value = std::to_string(kReadAheadKib);
  if (::write(file, value.data(), value.size()) < 0) log.debug("%s: %s", path.c_str(), std::strerror(errno));
  ::close(file);
}

FuseMount::Impl::~Impl() {
  files.set_kernel_cache(nullptr);
  cache.stop();
  if (session == nullptr) return;
  if (fd >= 0) {
    runtime.forget_fd(fd);
    fuse_session_unmount(session);
  }
  fuse_session_destroy(session);
}

FuseMount::FuseMount(Runtime& runtime, Logger& log, FileSystem& file_system, FuseOptions options)
    : impl_(std::make_unique<Impl>(runtime, log, file_system, std::move(options))) {}
FuseMount::~FuseMount() = default;
Status FuseMount::mount(std::string* problem) { return impl_->mount(problem); }
Task<> FuseMount::serve() { return impl_->serve(); }
void FuseMount::unmount() { impl_->unmount(); }

}  // namespace rideau::client
