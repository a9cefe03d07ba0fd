// SPDX-License-Identifier: Apache-2.0
// Opens, locks and marks the folder of a store.
#include "home.hpp"

#include "layout.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rideau::raw_file {
namespace {

constexpr char kTitle[] = "rideau raw-file store";

// At most `capacity - 1` bytes, terminated. Returns the count, or -1 with errno.
ssize_t read_small(int at, const char* name, char* out, std::size_t capacity) noexcept {
  const int fd = ::openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return -1;
  const ssize_t count = ::pread(fd, out, capacity - 1, 0);
  const int error = errno;
  ::close(fd);
  errno = error;
  out[count > 0 ? count : 0] = '\0';
  return count;
}

// Writes a small file so that after a crash it is whole or absent.
int write_small(int at, const char* name, const std::string& text) noexcept {
  const std::string fresh = std::string(name) + ".new";
  const int fd = ::openat(at, fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return errno;
  int error = 0;
  const ssize_t count = ::write(fd, text.data(), text.size());
  if (count != static_cast<ssize_t>(text.size())) error = count < 0 ? errno : ENOSPC;
  if (error == 0 && ::fsync(fd) != 0) error = errno;
  ::close(fd);
  if (error == 0 && ::renameat(at, fresh.c_str(), at, name) != 0) error = errno;
  if (error == 0 && ::fsync(at) != 0) error = errno;
  return error;
}

template <class Array>
std::string hex(const Array& bytes) {
  std::string text;
  char digits[3];
  for (const std::uint8_t byte : bytes) {
    std::snprintf(digits, sizeof digits, "%02x", byte);
    text += digits;
  }
  return text;
}

std::string errno_text(int error) { return std::string(std::strerror(error)); }

}  // namespace

Status Home::fail(Code code, int error, const char* where, std::string message) noexcept {
  message_ = std::move(message);
  close();
  return {code, error, where};
}

Status Home::open(const std::string& path, const std::uint8_t (&new_uuid)[16]) noexcept {
  path_ = path;
  if (const Status status = open_folder(path); !status.ok()) return status;
  // The version is looked at before anything is written, the lock file included.
  bool found = false;
  if (const Status status = read_format(found); !status.ok()) return status;
  if (!found) {
    if (const Status status = refuse_strange_folder(); !status.ok()) return status;
  }
  if (const Status status = take_lock(); !status.ok()) return status;
  if (const Status status = read_format(found); !status.ok()) return status;
  if (!found) {
    if (const Status status = make_store(new_uuid); !status.ok()) return status;
  }
  objects_ = ::openat(folder_, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (objects_ < 0) {
    return fail(
        Code::corrupt, errno, "open the folder of objects",
        path_ + "/objects: " + errno_text(errno) + "; the store says that it is complete, so restore this folder");
  }
  if (const int error = free_files_.open(folder_); error != 0) {
    return fail(status_of(error, "").code, error, "open the folder of free files",
                path_ + "/free: " + errno_text(error));
  }
  if (const Status status = probe_file_size(); !status.ok()) return status;
  identify_device();
  return take_count();
}

// Numbers of devices are those of one kernel, so the name of its boot goes into the number (FNV-1a of both).
void Home::identify_device() noexcept {
  struct stat folder {};
  char boot[64];
  const ssize_t count = read_small(AT_FDCWD, "/proc/sys/kernel/random/boot_id", boot, sizeof boot);
  if (count <= 0 || ::fstat(objects_, &folder) != 0) return;
  const std::string name = std::string(boot) + std::to_string(folder.st_dev);
  device_ = 0xcbf2'9ce4'8422'2325;
  for (const char byte : name) device_ = (device_ ^ static_cast<std::uint8_t>(byte)) * 0x100'0000'01b3;
}

// The largest file depends on the file system (ext4 with blocks of 1 KiB: 4 TiB) and cannot be asked for, only tried.
Status Home::probe_file_size() noexcept {
  ::unlinkat(folder_, "probe", 0);
  const int fd = ::openat(folder_, "probe", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0) {
    ::unlinkat(folder_, "probe", 0);
    // A process over its limit of file sizes gets a signal; so that limit is respected beforehand.
    rlimit limit{};
    std::uint64_t most = kObjectBytesMax;
    if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
      most = std::min<std::uint64_t>(most, limit.rlim_cur);
    }
    object_bytes_max_ = most;
    while (::ftruncate(fd, static_cast<off_t>(object_bytes_max_)) != 0) {
      error = errno;
      if (error != EFBIG || object_bytes_max_ < (1u << 20)) break;
      // 4 KiB less than a power of two, where file systems have their limits.
      object_bytes_max_ =
          object_bytes_max_ > (1ull << 43) ? (1ull << 43) - 4096 : (object_bytes_max_ + 4096) / 2 - 4096;
      error = 0;
    }
    ::close(fd);
  }
  if (error == 0) return kOk;
  return fail(status_of(error, "").code, error, "try a file in the store", path_ + ": " + errno_text(error));
}

Status Home::open_folder(const std::string& path) noexcept {
  folder_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0 && errno == ENOENT) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
      const int error = errno;
      return fail(status_of(error, "").code, error, "make the folder of the store",
                  path + ": cannot make this folder: " + errno_text(error) + "; its parent folder must exist");
    }
    const std::size_t slash = path.find_last_of('/');
    const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const int parent_fd = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent_fd >= 0) {
      ::fsync(parent_fd);
      ::close(parent_fd);
    }
    folder_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  }
  if (folder_ >= 0) return kOk;
  const int error = errno;
  return fail(status_of(error, "").code, error, "open the folder of the store",
              path + ": cannot open this folder: " + errno_text(error));
}

Status Home::read_format(bool& found) noexcept {
  char text[256];
  const ssize_t count = read_small(folder_, "format", text, sizeof text);
  found = count >= 0 || errno != ENOENT;
  if (!found) return kOk;
  if (count < 0) {
    const int error = errno;
    return fail(status_of(error, "").code, error, "read the format of the store",
                path_ + "/format: " + errno_text(error));
  }
  std::uint32_t version = 0;
  int used = 0;
  const std::size_t title = sizeof kTitle - 1;
  const bool ours = std::strncmp(text, kTitle, title) == 0 &&
                    std::sscanf(text + title, "\nversion %" SCNu32 "%n", &version, &used) == 1;
  if (!ours || version == 0) {
    return fail(Code::corrupt, 0, "format of the store", path_ + "/format is not that of a raw-file store");
  }
  if (version > kFormatVersion) {
    return fail(Code::refused, 0, "the store was made by a newer version",
                path_ + " has format version " + std::to_string(version) + ", this raw-file driver reads up to " +
                    std::to_string(kFormatVersion) + "; start it with the newer Rideau (nothing was changed)");
  }
  char uuid[33] = {};
  char sums[33] = {};
  const int lines = std::sscanf(text + title + used, "\nuuid %32[0-9a-f]\nsums %32[0-9a-f]", uuid, sums);
  if (lines < 1 || std::strlen(uuid) != 32) {
    return fail(Code::corrupt, 0, "format of the store", path_ + "/format has no uuid");
  }
  uuid_ = uuid;
  sums_.reset();
  if (version == 1) return kOk;
  if (std::strlen(sums) != 32) {
    return fail(Code::corrupt, 0, "format of the store", path_ + "/format does not say which sums are its own");
  }
  sums_.emplace();
  for (std::size_t i = 0; i < sums_->size(); ++i) {
    (*sums_)[i] = static_cast<std::uint8_t>(std::strtoul(std::string(sums + 2 * i, 2).c_str(), nullptr, 16));
  }
  return kOk;
}

// A folder with other things in it is more likely a slip of the pen than the place for a store.
Status Home::refuse_strange_folder() noexcept {
  const int fd = ::openat(folder_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* folder = fd >= 0 ? ::fdopendir(fd) : nullptr;
  if (folder == nullptr) {
    const int error = errno;
    if (fd >= 0) ::close(fd);
    return fail(status_of(error, "").code, error, "read the folder of the store", path_ + ": " + errno_text(error));
  }
  std::string strange;
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    const bool known = name == "." || name == ".." || name == "lock" || name == "format.new" || name == "objects" ||
                       name == "lost+found";
    if (!known && strange.empty()) strange = name;
  }
  ::closedir(folder);
  if (strange.empty()) return kOk;
  return fail(
      Code::refused, ENOTEMPTY, "the folder is not empty and not a store",
      path_ + " is not a raw-file store and not empty (it holds '" + strange + "'); name an empty or new folder");
}

Status Home::take_lock() noexcept {
  lock_ = ::openat(folder_, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock_ < 0) {
    const int error = errno;
    return fail(status_of(error, "").code, error, "make the lock file", path_ + "/lock: " + errno_text(error));
  }
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    char holder[128] = {};
    const ssize_t count = ::pread(lock_, holder, sizeof holder - 1, 0);
    holder[count > 0 ? count : 0] = '\0';
    holder[std::strcspn(holder, "\n")] = '\0';
    if (error != EWOULDBLOCK) {
      return fail(status_of(error, "").code, error, "lock the store", path_ + "/lock: " + errno_text(error));
    }
    return fail(Code::exists, error, "the store is in use by another process",
                path_ + " is in use by " + (holder[0] != '\0' ? std::string(holder) : std::string("another process")) +
                    "; stop that one first");
  }
  char machine[65] = {};
  ::gethostname(machine, sizeof machine - 1);
  const std::string holder = "process " + std::to_string(::getpid()) + " on " + machine + "\n";
  if (::ftruncate(lock_, 0) != 0 ||
      ::pwrite(lock_, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size())) {
    const int error = errno;
    return fail(status_of(error, "").code, error, "write the lock file", path_ + "/lock: " + errno_text(error));
  }
  return kOk;
}

Status Home::make_store(const std::uint8_t (&new_uuid)[16]) noexcept {
  int error = 0;
  // The folder first: a format file says that everything is in place.
  if (::mkdirat(folder_, "objects", 0700) != 0 && errno != EEXIST) error = errno;
  uuid_ = hex(new_uuid);
  if (error == 0) error = write_format();
  if (error == 0) return kOk;
  return fail(status_of(error, "").code, error, "make a new store",
              path_ + ": cannot make a store: " + errno_text(error));
}

int Home::write_format() noexcept {
  std::string text = std::string(kTitle) + "\nversion " + (sums_ ? "2" : "1") + "\nuuid " + uuid_ + "\n";
  if (sums_) text += "sums " + hex(*sums_) + "\n";
  return write_small(folder_, "format", text);
}

Status Home::keep_sums(const std::optional<SumsId>& sums) noexcept {
  sums_ = sums;
  return status_of(write_format(), "write the format of the store");
}

Status Home::take_count() noexcept {
  char text[32];
  const ssize_t count = read_small(folder_, "clean", text, sizeof text);
  if (count > 0 && std::sscanf(text, "%" SCNu64, &object_count_) == 1) {
    if (::unlinkat(folder_, "clean", 0) == 0 && ::fsync(folder_) == 0) return kOk;
    const int error = errno;
    return fail(status_of(error, "").code, error, "begin to use the store", path_ + "/clean: " + errno_text(error));
  }
  const Status status = count_objects(objects_, object_count_);
  left_open_ = object_count_ != 0;
  if (status.ok()) return kOk;
  return fail(status.code, status.os_error, status.where, path_ + "/objects: " + errno_text(status.os_error));
}

Status Home::mark_clean(std::uint64_t object_count) noexcept {
  return status_of(write_small(folder_, "clean", std::to_string(object_count) + "\n"), "mark the clean stop");
}

void Home::close() noexcept {
  free_files_.close();
  for (int* fd : {&objects_, &lock_, &folder_}) {
    if (*fd >= 0) ::close(*fd);
    *fd = -1;
  }
}

}  // namespace rideau::raw_file
