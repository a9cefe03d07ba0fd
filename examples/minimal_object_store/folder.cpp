// SPDX-License-Identifier: Apache-2.0
#include "folder.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

namespace minimal {

using rideau::Code;
using rideau::IoVec;
using rideau::ObjectId;
using rideau::Status;

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

struct Name {
  explicit Name(ObjectId id) { std::snprintf(text, sizeof text, "%016" PRIx64 "-%016" PRIx64, id.high, id.low); }
  char text[34];
};

bool parse(const char* name, ObjectId* id) {
  int end = 0;
  return std::sscanf(name, "%16" SCNx64 "-%16" SCNx64 "%n", &id->high, &id->low, &end) == 2 && end == 33 &&
         name[end] == '\0';
}

Status failure(const char* where) {
  switch (errno) {
    case ENOENT:
      return {Code::not_found, ENOENT, where};
    case ENOSPC:
    case EDQUOT:
      return {Code::no_space, errno, where};
    case EFBIG:
      return {Code::too_large, EFBIG, where};
    default:
      return {Code::io_error, errno, where};
  }
}

// Drops what was moved from the front of the parts.
void advance(std::vector<IoVec>* parts, std::size_t bytes) {
  std::size_t done = 0;
  while (done < parts->size() && bytes >= (*parts)[done].size) bytes -= (*parts)[done++].size;
  parts->erase(parts->begin(), parts->begin() + static_cast<std::ptrdiff_t>(done));
  if (parts->empty()) return;
  parts->front().base = static_cast<char*>(parts->front().base) + bytes;
  parts->front().size -= bytes;
}

// Calls `move` (preadv or pwritev) until all parts are moved or nothing more is.
template <class Move>
Status move_all(std::uint64_t offset, std::vector<IoVec> parts, std::uint64_t* bytes, const char* where, Move move) {
  static_assert(sizeof(IoVec) == sizeof(iovec));
  *bytes = 0;
  for (advance(&parts, 0); !parts.empty();) {
    const auto* vector = reinterpret_cast<const iovec*>(parts.data());
    const ssize_t count = move(vector, static_cast<int>(parts.size()), static_cast<off_t>(offset + *bytes));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure(where);
    if (count == 0) break;
    *bytes += static_cast<std::uint64_t>(count);
    advance(&parts, static_cast<std::size_t>(count));
  }
  return rideau::kOk;
}

}  // namespace

Folder::~Folder() {
  if (folder_ >= 0) ::close(folder_);
  if (lock_ >= 0) ::close(lock_);
}

Status Folder::open(const std::string& path) {
  const bool made = ::mkdir(path.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return failure("make the folder");
  folder_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_ < 0) return failure("open the folder");
  lock_ = ::openat(folder_, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return failure("open the lock");
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) return {Code::exists, 0, "use a folder that another instance has"};
  if (!made) {
    std::vector<ObjectId> found;
    const Status listed = list(nullptr, UINT32_MAX, &found);
    count_ = found.size();
    return listed;
  }
  // The new name must survive a power cut as well.
  const Descriptor parent(::openat(folder_, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return parent.ok() && ::fsync(parent.get()) == 0 ? rideau::kOk : failure("sync the parent folder");
}

Status Folder::read(ObjectId id, std::uint64_t offset, std::vector<IoVec> parts, std::uint64_t* bytes) {
  const Descriptor file(::openat(folder_, Name(id).text, O_RDONLY | O_CLOEXEC));
  if (!file.ok()) return failure("open an object");
  return move_all(offset, std::move(parts), bytes, "read an object",
                  [&](const iovec* vector, int count, off_t at) { return ::preadv(file.get(), vector, count, at); });
}

Status Folder::open_for_writing(ObjectId id, int* file) {
  const Name name(id);
  do {
    *file = ::openat(folder_, name.text, O_WRONLY | O_CLOEXEC);
    if (*file >= 0) return rideau::kOk;
    if (errno != ENOENT) return failure("open an object");
    *file = ::openat(folder_, name.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  } while (*file < 0 && errno == EEXIST);  // another thread was faster
  if (*file < 0) return failure("make an object");
  ++count_;
  return rideau::kOk;
}

Status Folder::write(ObjectId id, std::uint64_t offset, std::vector<IoVec> parts, std::uint64_t* bytes) {
  int opened = -1;
  const Status status = open_for_writing(id, &opened);
  const Descriptor file(opened);
  if (!file.ok()) return status;
  return move_all(offset, std::move(parts), bytes, "write an object",
                  [&](const iovec* vector, int count, off_t at) { return ::pwritev(file.get(), vector, count, at); });
}

Status Folder::truncate(ObjectId id, std::uint64_t size) {
  int opened = -1;
  const Status status = open_for_writing(id, &opened);
  const Descriptor file(opened);
  if (!file.ok()) return status;
  return ::ftruncate(file.get(), static_cast<off_t>(size)) == 0 ? rideau::kOk : failure("truncate an object");
}

Status Folder::remove(ObjectId id) {
  if (::unlinkat(folder_, Name(id).text, 0) == 0) {
    --count_;
    return rideau::kOk;
  }
  return errno == ENOENT ? rideau::kOk : failure("remove an object");
}

Status Folder::stat(ObjectId id, rideau::ObjectStat* out) {
  struct stat found {};
  if (::fstatat(folder_, Name(id).text, &found, 0) != 0) return failure("stat an object");
  out->size = static_cast<std::uint64_t>(found.st_size);
  out->bytes_used = static_cast<std::uint64_t>(found.st_blocks) * 512;
  return rideau::kOk;
}

// Reads the whole folder for each portion: plain, and slow where there are very many objects.
Status Folder::list(const ObjectId* after, std::uint32_t count, std::vector<ObjectId>* out) {
  const int copy = ::openat(folder_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> names(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
  if (names == nullptr) return failure("list the objects");
  while (const dirent* entry = ::readdir(names.get())) {
    ObjectId id;
    if (parse(entry->d_name, &id) && (after == nullptr || *after < id)) out->push_back(id);
  }
  std::sort(out->begin(), out->end());
  if (out->size() > count) out->resize(count);
  return rideau::kOk;
}

Status Folder::flush(const std::vector<ObjectId>& ids) {
  if (ids.empty()) return ::syncfs(folder_) == 0 ? rideau::kOk : failure("sync the objects");
  for (const ObjectId id : ids) {
    const Descriptor file(::openat(folder_, Name(id).text, O_RDONLY | O_CLOEXEC));
    if (!file.ok() && errno == ENOENT) continue;  // removed: its name is made durable below
    if (!file.ok() || ::fdatasync(file.get()) != 0) return failure("sync an object");
  }
  return ::fsync(folder_) == 0 ? rideau::kOk : failure("sync the folder");
}

Status Folder::space(rideau::ObjectSpace* out) {
  struct statvfs found {};
  struct stat where {};
  if (::fstatvfs(folder_, &found) != 0 || ::fstat(folder_, &where) != 0) return failure("look at the space");
  out->bytes_total = static_cast<std::uint64_t>(found.f_blocks) * found.f_frsize;
  out->bytes_free = static_cast<std::uint64_t>(found.f_bavail) * found.f_frsize;
  if (found.f_files != 0) out->objects_free = found.f_favail;
  out->object_count = count_;
  out->device = where.st_dev;
  return rideau::kOk;
}

}  // namespace minimal
