// SPDX-License-Identifier: Apache-2.0
// Files that are empty and have no object.
#include "free_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rideau::raw_file {
namespace {

constexpr std::size_t kKeptMax = 8192;
constexpr char kFolder[] = "free";

struct Name {
  explicit Name(std::uint32_t number) noexcept { std::snprintf(text, sizeof text, "%08x", number); }
  char text[16];
};

int open_file(int folder, const char* path, int more) noexcept {
  int fd = -1;
  do {
    fd = ::openat(folder, path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | more, 0600);
  } while (fd < 0 && errno == EINTR);
  return fd >= 0 ? fd : -errno;
}

}  // namespace

int FreeFiles::open(int store_folder) noexcept {
  if (::mkdirat(store_folder, kFolder, 0700) != 0 && errno != EEXIST) return errno;
  folder_ = ::openat(store_folder, kFolder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  const int listed = folder_ >= 0 ? ::openat(folder_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  DIR* listing = listed >= 0 ? ::fdopendir(listed) : nullptr;
  if (listing == nullptr) {
    const int error = errno;
    if (listed >= 0) ::close(listed);
    return error;
  }
  while (const dirent* entry = ::readdir(listing)) {
    char* end = nullptr;
    const unsigned long number = std::strtoul(entry->d_name, &end, 16);
    struct stat found {};
    if (end != entry->d_name + 8 || *end != '\0') continue;
    if (::fstatat(folder_, entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0) continue;
    // A crash may have come before the file was cut, or have left its other name too.
    const bool empty = S_ISREG(found.st_mode) && found.st_size == 0 && found.st_blocks == 0 && found.st_nlink == 1;
    if (empty && numbers_.size() < kKeptMax) {
      numbers_.push_back(static_cast<std::uint32_t>(number));
      next_ = std::max(next_, static_cast<std::uint32_t>(number) + 1);
    } else {
      ::unlinkat(folder_, entry->d_name, 0);
    }
  }
  ::closedir(listing);
  return 0;
}

void FreeFiles::close() noexcept {
  if (folder_ >= 0) ::close(folder_);
  folder_ = -1;
  numbers_.clear();
}

int FreeFiles::make(int objects, const char* path) noexcept {
  if (!numbers_.empty()) {
    const Name name(numbers_.back());
    ++system_calls_;
    if (::renameat2(folder_, name.text, objects, path, RENAME_NOREPLACE) == 0) {
      ++system_calls_;
      const int fd = open_file(objects, path, 0);
      if (fd >= 0) {
        numbers_.pop_back();
      } else if (::renameat(objects, path, folder_, name.text) != 0) {
        ::unlinkat(objects, path, 0);  // whoever tries again must find that there is no object
        numbers_.pop_back();
      }
      return fd;
    }
    if (errno == EEXIST) return -EEXIST;
    const bool no_folder = errno == ENOENT;
    ++system_calls_;
    const int fd = open_file(objects, path, O_CREAT | O_EXCL);
    // This number does not serve: its file went, or the file system cannot rename in this way.
    if (fd >= 0 || !no_folder) numbers_.pop_back();
    return fd;
  }
  ++system_calls_;
  return open_file(objects, path, O_CREAT | O_EXCL);
}

int FreeFiles::remove(int objects, const char* path, int fd) noexcept {
  int result = 0;
  if (folder_ >= 0 && numbers_.size() < kKeptMax) {
    const Name name(next_);
    ++system_calls_;
    if (::renameat(objects, path, folder_, name.text) == 0) {
      ++next_;
      system_calls_ += fd < 0 ? 2 : 1;  // and the truncation
      if (fd < 0) fd = open_file(folder_, name.text, 0);
      if (fd >= 0 && ::ftruncate(fd, 0) == 0) {
        numbers_.push_back(next_ - 1);
      } else {
        ::unlinkat(folder_, name.text, 0);
      }
    } else {
      result = -errno;
    }
    system_calls_ += fd >= 0 ? 1 : 0;
    if (fd >= 0) ::close(fd);
    if (result == 0 || result == -ENOENT) return result;
    return ::unlinkat(objects, path, 0) == 0 ? 0 : -errno;
  }
  system_calls_ += fd >= 0 ? 2 : 1;
  // Closed first and here: the kernel frees the blocks where the last reference goes.
  if (::unlinkat(objects, path, 0) != 0) result = -errno;
  if (fd >= 0) ::close(fd);
  return result;
}

}  // namespace rideau::raw_file
