// SPDX-License-Identifier: Apache-2.0
// Paths of objects, and the blocking walks over their folders.
#include "layout.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rideau::raw_file {
namespace {

constexpr std::size_t kRootDigits = 11;
constexpr std::size_t kMiddleDigits = 3;
constexpr std::size_t kFoldersPerScan = 1024;  // bounds the memory of a listing, whatever the ids are

// Exactly `digits` lower-case hex digits; anything else in our folders is not ours.
bool parse_hex(const char* text, std::size_t digits, std::uint64_t& value) noexcept {
  value = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const char c = text[i];
    if (c >= '0' && c <= '9') {
      value = (value << 4) | static_cast<std::uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = (value << 4) | static_cast<std::uint64_t>(c - 'a' + 10);
    } else {
      return false;
    }
  }
  return true;
}

bool parse_folder(const char* name, std::size_t digits, std::uint64_t& value) noexcept {
  return std::strlen(name) == digits && parse_hex(name, digits, value);
}

bool parse_object(const char* name, ObjectId& id) noexcept {
  return std::strlen(name) == 32 && parse_hex(name, 16, id.high) && parse_hex(name + 16, 16, id.low);
}

// Calls visit(name) for each entry. A folder that is gone has no entries.
template <class Visit>
Status for_each_name(int at, const char* path, Visit visit) noexcept {
  const int fd = ::openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? kOk : status_of(errno, "open a folder of objects");
  DIR* folder = ::fdopendir(fd);
  if (folder == nullptr) {
    const int error = errno;
    ::close(fd);
    return status_of(error, "read a folder of objects");
  }
  int error = 0;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(folder);
    if (entry == nullptr) {
      error = errno;
      break;
    }
    visit(static_cast<const char*>(entry->d_name));
  }
  ::closedir(folder);
  return error == 0 ? kOk : status_of(error, "read a folder of objects");
}

// Keeps the `limit` smallest values it is given, in a heap whose top is the largest of them.
template <class T>
void keep_smallest(std::vector<T>& heap, std::size_t limit, const T& value) {
  if (heap.size() == limit) {
    if (!(value < heap.front())) return;
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
  }
  heap.push_back(value);
  std::push_heap(heap.begin(), heap.end());
}

// The `limit` smallest folder names that are not less than `from`, ascending.
Status folders_from(int at, const char* path, std::size_t digits, std::uint64_t from, std::size_t limit,
                    std::vector<std::uint64_t>& found) noexcept {
  found.clear();
  const Status status = for_each_name(at, path, [&](const char* name) {
    std::uint64_t value = 0;
    if (parse_folder(name, digits, value) && value >= from) keep_smallest(found, limit, value);
  });
  std::sort(found.begin(), found.end());
  return status;
}

Status list_leaf(int objects, FolderKey leaf, const ObjectId* after, std::uint32_t capacity,
                 std::vector<ObjectId>& out) noexcept {
  char path[kPathBytes];
  folder_path(leaf, path);
  std::vector<ObjectId> found;
  const std::size_t limit = capacity - out.size();
  const Status status = for_each_name(objects, path, [&](const char* name) {
    ObjectId id;
    if (!parse_object(name, id) || leaf_of(id) != leaf) return;
    if (after == nullptr || id > *after) keep_smallest(found, limit, id);
  });
  std::sort(found.begin(), found.end());
  out.insert(out.end(), found.begin(), found.end());
  return status;
}

Status list_middle(int objects, FolderKey middle, const ObjectId* after, std::uint32_t capacity,
                   std::vector<ObjectId>& out) noexcept {
  char path[kPathBytes];
  folder_path(middle, path);
  const bool first = after != nullptr && (after->high >> 20) == middle.prefix;
  std::vector<std::uint64_t> leaves;
  Status status = folders_from(objects, path, kMiddleDigits, first ? (after->high >> 8) & 0xfff : 0, 4096, leaves);
  for (std::size_t i = 0; status.ok() && i < leaves.size() && out.size() < capacity; ++i) {
    status = list_leaf(objects, {FolderKey::Level::leaf, (middle.prefix << 12) | leaves[i]}, after, capacity, out);
  }
  return status;
}

Status fsync_folder(int objects, FolderKey folder, bool& sync_failed) noexcept {
  char path[kPathBytes];
  folder_path(folder, path);
  const int fd = ::openat(objects, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? kOk : status_of(errno, "open a folder to flush it");
  Status status{};
  if (::fsync(fd) != 0) {
    status = status_of(errno, "fsync of a folder of objects");
    sync_failed = true;
  }
  ::close(fd);
  return status;
}

}  // namespace

void object_path(ObjectId id, char (&path)[kPathBytes]) noexcept {
  std::snprintf(path, sizeof path, "%011" PRIx64 "/%03" PRIx64 "/%016" PRIx64 "%016" PRIx64, id.high >> 20,
                (id.high >> 8) & 0xfff, id.high, id.low);
}

std::string object_text(ObjectId id) {
  char text[33];
  std::snprintf(text, sizeof text, "%016" PRIx64 "%016" PRIx64, id.high, id.low);
  return text;
}

void folder_path(FolderKey folder, char (&path)[kPathBytes]) noexcept {
  switch (folder.level) {
    case FolderKey::Level::leaf:
      std::snprintf(path, sizeof path, "%011" PRIx64 "/%03" PRIx64, folder.prefix >> 12, folder.prefix & 0xfff);
      return;
    case FolderKey::Level::middle:
      std::snprintf(path, sizeof path, "%011" PRIx64, folder.prefix);
      return;
    case FolderKey::Level::root:
      std::snprintf(path, sizeof path, ".");
      return;
  }
}

Status list_objects(int objects, const ObjectId* after, std::uint32_t capacity, std::vector<ObjectId>& out) noexcept {
  std::uint64_t from = after != nullptr ? after->high >> 20 : 0;
  std::vector<std::uint64_t> folders;
  while (out.size() < capacity) {
    Status status = folders_from(objects, ".", kRootDigits, from, kFoldersPerScan, folders);
    for (std::size_t i = 0; status.ok() && i < folders.size() && out.size() < capacity; ++i) {
      status = list_middle(objects, {FolderKey::Level::middle, folders[i]}, after, capacity, out);
    }
    if (!status.ok() || folders.size() < kFoldersPerScan) return status;
    from = folders.back() + 1;
  }
  return kOk;
}

Status count_objects(int objects, std::uint64_t& count) noexcept {
  count = 0;
  Status status{};
  const auto count_leaf = [&](FolderKey leaf) {
    char path[kPathBytes];
    folder_path(leaf, path);
    return for_each_name(objects, path, [&](const char* name) {
      ObjectId id;
      if (parse_object(name, id)) ++count;
    });
  };
  const Status walked = for_each_name(objects, ".", [&](const char* name) {
    std::uint64_t root = 0;
    if (!status.ok() || !parse_folder(name, kRootDigits, root)) return;
    const Status inner = for_each_name(objects, name, [&](const char* leaf_name) {
      std::uint64_t leaf = 0;
      if (!status.ok() || !parse_folder(leaf_name, kMiddleDigits, leaf)) return;
      status = count_leaf({FolderKey::Level::leaf, (root << 12) | leaf});
    });
    if (status.ok()) status = inner;
  });
  return status.ok() ? walked : status;
}

Status make_folders(int objects, FolderKey leaf) noexcept {
  for (const FolderKey folder : {leaf.parent(), leaf}) {
    char path[kPathBytes];
    folder_path(folder, path);
    // ENOENT: the parent was pruned in between; the caller tries again.
    if (::mkdirat(objects, path, 0700) != 0 && errno != EEXIST && errno != ENOENT) {
      return status_of(errno, "make a folder for objects");
    }
  }
  return kOk;
}

Status sync_folder(int objects, FolderKey folder, bool prune, bool& sync_failed) noexcept {
  while (prune && folder.level != FolderKey::Level::root) {
    char path[kPathBytes];
    folder_path(folder, path);
    if (::unlinkat(objects, path, AT_REMOVEDIR) != 0 && errno != ENOENT) break;
    folder = folder.parent();
  }
  return fsync_folder(objects, folder, sync_failed);
}

}  // namespace rideau::raw_file
