// SPDX-License-Identifier: Apache-2.0
#include "environment.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace rideau::lmdb {
namespace {

constexpr const char* kLockFile = "/owner.lock";
constexpr const char* kDataFile = "/data.mdb";
constexpr const char* kCompactedFile = "/data.mdb.compacted";  // while it is being written
constexpr const char* kEntriesTable = "entries";
constexpr const char* kFormatTable = "format";
constexpr char kVersionKey[] = "version";
constexpr MDB_dbi kFreeTable = 0;  // LMDB's own list of freed pages
constexpr std::uint64_t kReserveShare = 32;
constexpr std::uint64_t kReservePagesMin = 64;
// More than any batch that frees space needs; a share of a large map alone would keep small disks from being used.
constexpr std::uint64_t kReserveBytesMax = 128u << 20;
constexpr unsigned kOwnReaders = 4;  // beside snapshots: space() and the committer look at freed pages

MDB_val version_key() noexcept { return {sizeof kVersionKey - 1, const_cast<char*>(kVersionKey)}; }

std::string parent_of(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  const std::size_t slash = end == std::string::npos ? end : path.rfind('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

int sync_path(const std::string& path) noexcept {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

}  // namespace

Status status_of(int lmdb_code, const char* where) noexcept {
  switch (lmdb_code) {
    case MDB_SUCCESS:
      return kOk;
    case MDB_NOTFOUND:
      return {Code::not_found, 0, where};
    case MDB_MAP_FULL:
    case ENOSPC:
    case EDQUOT:
      return {Code::no_space, lmdb_code > 0 ? lmdb_code : 0, where};
    case MDB_TXN_FULL:
    case MDB_BAD_VALSIZE:
      return {Code::too_large, 0, where};
    case MDB_READERS_FULL:
      return {Code::busy, 0, where};
    case ENOMEM:
      return {Code::busy, ENOMEM, where};
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
      return {Code::corrupt, 0, where};
    case MDB_VERSION_MISMATCH:
      return {Code::refused, 0, where};
    default:
      break;
  }
  return {Code::io_error, lmdb_code > 0 ? lmdb_code : 0, where};
}

void Environment::complain(Host& host, const char* what, int lmdb_code) const noexcept {
  const std::string text = "lmdb: " + options_.path + ": " + what + ": " + ::mdb_strerror(lmdb_code);
  host.log(Level::error, Text(std::string_view(text)));
}

Status Environment::open(Host& host, const Options& options) noexcept {
  options_ = options;
  Status status = make_folder(host);
  if (status.ok()) status = take_lock(host);
  if (status.ok()) ::unlink((options.path + kCompactedFile).c_str());  // what an interrupted compaction left
  if (status.ok()) status = open_environment(host);
  if (status.ok()) status = open_tables(host);
  if (status.ok() && options.compact) status = compact(host);
  if (!status.ok()) close();
  return status;
}

void Environment::close() noexcept {
  if (env_ != nullptr) ::mdb_env_close(env_);
  env_ = nullptr;
  map_ = nullptr;
  if (lock_fd_ >= 0) ::close(lock_fd_);
  lock_fd_ = -1;
}

Status Environment::make_folder(Host& host) noexcept {
  if (::mkdir(options_.path.c_str(), 0700) == 0) {
    // The new name must survive a power cut as well.
    const int error = sync_path(parent_of(options_.path));
    return error == 0 ? kOk : Status{Code::io_error, error, "sync the parent of the index folder"};
  }
  const int error = errno;
  if (error == EEXIST) {
    struct stat info {};
    if (::stat(options_.path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) return kOk;
    complain(host, "not a folder", ENOTDIR);
    return {Code::invalid, ENOTDIR, "index path is not a folder"};
  }
  if (error == ENOENT) {
    const std::string text = "lmdb: cannot make " + options_.path + ": its parent folder " + parent_of(options_.path) +
                             " does not exist; create it or correct `path`";
    host.log(Level::error, Text(std::string_view(text)));
    return {Code::not_found, ENOENT, "parent of the index folder does not exist"};
  }
  complain(host, "cannot make the folder", error);
  return {Code::io_error, error, "make the index folder"};
}

// LMDB itself forbids to open one environment twice in a process, and two servers on one target must never both
// write. flock belongs to the open file, so it keeps out both; the kernel drops it when the process dies.
Status Environment::take_lock(Host& host) noexcept {
  const std::string name = options_.path + kLockFile;
  lock_fd_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) {
    const int error = errno;
    complain(host, "cannot open owner.lock", error);
    return {Code::io_error, error, "open the lock of the index"};
  }
  char holder[32] = {};
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) {
      complain(host, "cannot lock owner.lock", error);
      return {Code::io_error, error, "lock the index"};
    }
    const ssize_t count = ::pread(lock_fd_, holder, sizeof holder - 1, 0);
    const long pid = count > 0 ? std::atol(holder) : 0;
    std::string text = "lmdb: " + options_.path + " is in use by process " + (pid > 0 ? std::to_string(pid) : "?");
    if (pid == static_cast<long>(::getpid())) text += " (this one, by another instance)";
    text += "; stop it first, or give this instance a folder of its own";
    host.log(Level::error, Text(std::string_view(text)));
    return {Code::exists, 0, "index folder is in use by another instance"};
  }
  const int length = std::snprintf(holder, sizeof holder, "%ld\n", static_cast<long>(::getpid()));
  // Only a message depends on the number, so a full device does not stop us here.
  if (::ftruncate(lock_fd_, 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(lock_fd_, holder, static_cast<std::size_t>(length), 0);
  }
  return kOk;
}

Status Environment::open_environment(Host& host) noexcept {
  const long page = ::sysconf(_SC_PAGESIZE);
  page_bytes_ = page > 0 ? static_cast<std::uint64_t>(page) : 4096;
  const std::uint64_t map_size = options_.map_size / page_bytes_ * page_bytes_;
  int code = ::mdb_env_create(&env_);
  if (code == 0) code = ::mdb_env_set_maxdbs(env_, 2);
  if (code == 0) code = ::mdb_env_set_maxreaders(env_, options_.max_readers + kOwnReaders);
  if (code == 0) code = ::mdb_env_set_mapsize(env_, map_size);
  unsigned flags = MDB_NOTLS;  // snapshots belong to their object, not to a thread
  if (!options_.sync) flags |= MDB_NOSYNC;
  if (code == 0) code = ::mdb_env_open(env_, options_.path.c_str(), flags, 0600);
  if (code == 0) return kOk;
  complain(host, code == ENOMEM ? "cannot reserve map_size of address space" : "cannot open the index", code);
  return status_of(code, "open the index");
}

Status Environment::open_tables(Host& host) noexcept {
  MDB_txn* txn = nullptr;
  int code = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code != 0) {
    complain(host, "cannot read the index", code);
    return status_of(code, "read the index");
  }
  bool fresh = false;
  Status status = read_format(host, txn, &fresh);
  ::mdb_txn_abort(txn);
  if (!status.ok()) return status;
  if (fresh) status = write_format();
  if (status.ok() && fresh) status = sync_folder();
  if (!status.ok()) {
    host.log(Level::error, "lmdb: cannot write the format record of a new index");
    return status;
  }
  code = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code != 0) return status_of(code, "open the tables of the index");
  code = ::mdb_dbi_open(txn, kEntriesTable, 0, &entries_);
  if (code == 0) code = ::mdb_dbi_open(txn, kFormatTable, 0, &format_);
  // Handles opened by a transaction outlive it only when it commits.
  if (code == 0)
    code = ::mdb_txn_commit(txn);
  else
    ::mdb_txn_abort(txn);
  if (code != 0) {
    complain(host, "cannot open its tables", code);
    return status_of(code, "open the tables of the index");
  }
  measure();
  find_map();
  return kOk;
}

Status Environment::read_format(Host& host, MDB_txn* txn, bool* fresh) noexcept {
  MDB_dbi main = 0;
  MDB_stat stat{};
  int code = ::mdb_dbi_open(txn, nullptr, 0, &main);
  if (code == 0) code = ::mdb_stat(txn, main, &stat);
  if (code != 0) {
    complain(host, "cannot read its tables", code);
    return status_of(code, "read the tables of the index");
  }
  *fresh = stat.ms_entries == 0;
  if (*fresh) return kOk;

  MDB_dbi table = 0;
  MDB_val key = version_key();
  MDB_val value{};
  code = ::mdb_dbi_open(txn, kFormatTable, 0, &table);
  if (code == 0) code = ::mdb_get(txn, table, &key, &value);
  std::uint8_t bytes[4] = {};
  if (code != 0 || value.mv_size != sizeof bytes) {
    host.log(Level::error, Text(std::string_view("lmdb: " + options_.path +
                                                 " holds an LMDB database that is not an index of Rideau")));
    return {Code::refused, 0, "not an index of Rideau"};
  }
  std::memcpy(bytes, value.mv_data, sizeof bytes);
  const std::uint32_t version = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | static_cast<std::uint32_t>(bytes[3]) << 24;
  if (version == kFormatVersion) return kOk;
  const std::string text = "lmdb: " + options_.path + " has format version " + std::to_string(version) +
                           ", this program knows versions up to " + std::to_string(kFormatVersion) +
                           "; nothing was changed, start it with the newer program";
  host.log(Level::error, Text(std::string_view(text)));
  return {Code::refused, 0, "index was made by a newer version"};
}

Status Environment::write_format() noexcept {
  MDB_txn* txn = nullptr;
  int code = ::mdb_txn_begin(env_, nullptr, 0, &txn);
  if (code != 0) return status_of(code, "write the format record");
  MDB_dbi table = 0;
  code = ::mdb_dbi_open(txn, kEntriesTable, MDB_CREATE, &table);
  if (code == 0) code = ::mdb_dbi_open(txn, kFormatTable, MDB_CREATE, &table);
  std::uint8_t bytes[4] = {kFormatVersion & 0xff, (kFormatVersion >> 8) & 0xff, (kFormatVersion >> 16) & 0xff,
                           (kFormatVersion >> 24) & 0xff};
  MDB_val key = version_key();
  MDB_val value{sizeof bytes, bytes};
  if (code == 0) code = ::mdb_put(txn, table, &key, &value, 0);
  if (code == 0) {
    code = ::mdb_txn_commit(txn);
  } else {
    ::mdb_txn_abort(txn);
  }
  return status_of(code, "write the format record");
}

// The files of a new index must still have their names after a power cut.
Status Environment::sync_folder() noexcept {
  const int error = sync_path(options_.path);
  return error == 0 ? kOk : Status{Code::io_error, error, "sync the index folder"};
}

std::uint64_t Environment::used_bytes() const noexcept {
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  return (info.me_last_pgno + 1) * page_bytes_;
}

// The old file stays what it is until the new one is whole and durable, and then goes in one step.
Status Environment::compact(Host& host) noexcept {
  const std::string data = options_.path + kDataFile;
  const std::string compacted = options_.path + kCompactedFile;
  const std::uint64_t before = used_bytes();
  Status status = write_compacted(compacted);
  if (!status.ok()) {
    ::unlink(compacted.c_str());
    const std::string text = "lmdb: " + options_.path + " is as it was: it cannot be compacted: " +
                             (status.os_error != 0 ? std::strerror(status.os_error) : status.where) +
                             "; the new file needs up to " + std::to_string(before >> 20) + " MiB beside the old one";
    host.log(Level::error, Text(std::string_view(text)));
    return status;
  }
  ::mdb_env_close(env_);
  env_ = nullptr;
  if (::rename(compacted.c_str(), data.c_str()) != 0)
    return {Code::io_error, errno, "put the compacted index in place"};
  status = sync_folder();
  if (status.ok()) status = open_environment(host);
  if (status.ok()) status = open_tables(host);
  if (!status.ok()) return status;
  const std::string text = "lmdb: " + options_.path + " is compacted: " + std::to_string(before >> 10) +
                           " KiB before, " + std::to_string(used_bytes() >> 10) + " KiB now";
  host.log(Level::info, Text(std::string_view(text)));
  return kOk;
}

Status Environment::write_compacted(const std::string& path) noexcept {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return {Code::io_error, errno, "make the compacted index"};
  Status status = status_of(::mdb_env_copyfd2(env_, fd, MDB_CP_COMPACT), "write the compacted index");
  if (status.ok() && ::fsync(fd) != 0) status = {Code::io_error, errno, "sync the compacted index"};
  ::close(fd);
  return status;
}

void Environment::measure() noexcept {
  MDB_stat stat{};
  MDB_envinfo info{};
  ::mdb_env_stat(env_, &stat);
  ::mdb_env_info(env_, &info);
  page_bytes_ = stat.ms_psize;
  map_pages_ = info.me_mapsize / page_bytes_;
  reserve_pages_ = std::clamp(map_pages_ / kReserveShare, kReservePagesMin, kReserveBytesMax / page_bytes_);
}

// LMDB does not tell where its map lies; the kernel does.
void Environment::find_map() noexcept {
  map_ = nullptr;
  mdb_filehandle_t fd = -1;
  struct stat data {};
  if (::mdb_env_get_fd(env_, &fd) != 0 || ::fstat(fd, &data) != 0) return;
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return;
  char* line = nullptr;
  std::size_t room = 0;
  while (map_ == nullptr && ::getline(&line, &room, maps) >= 0) {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    unsigned long inode = 0;
    if (std::sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %lu", &begin, &end, &inode) != 3) continue;
    if (inode != data.st_ino || end - begin != map_pages_ * page_bytes_) continue;
    map_ = reinterpret_cast<void*>(begin);
    map_bytes_ = end - begin;
  }
  std::free(line);
  std::fclose(maps);
}

void Environment::let_pages_go() const noexcept {
  if (map_ != nullptr) ::madvise(map_, map_bytes_, MADV_DONTNEED);
}

std::uint64_t Environment::tail_pages() const noexcept {
  MDB_envinfo info{};
  ::mdb_env_info(env_, &info);
  const std::uint64_t used = info.me_last_pgno + 1;
  return used < map_pages_ ? map_pages_ - used : 0;
}

Status Environment::free_pages(std::uint64_t writer, std::uint64_t oldest_snapshot, FreePages* out) const noexcept {
  *out = {};
  out->tail = tail_pages();
  MDB_txn* txn = nullptr;
  int code = ::mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn);
  if (code != 0) return status_of(code, "look at free pages");
  MDB_cursor* cursor = nullptr;
  code = ::mdb_cursor_open(txn, kFreeTable, &cursor);
  const std::uint64_t usable_below = std::min(oldest_snapshot, writer - 1);
  MDB_val key{};
  MDB_val value{};
  // Key: the transaction that freed them. Value: how many, then their numbers; all are machine words.
  while (code == 0 && (code = ::mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
    std::size_t freed_by = 0;
    std::size_t count = 0;
    if (key.mv_size != sizeof freed_by || value.mv_size < sizeof count) continue;
    std::memcpy(&freed_by, key.mv_data, sizeof freed_by);
    std::memcpy(&count, value.mv_data, sizeof count);
    out->freed += count;
    if (freed_by < oldest_snapshot) out->unpinned += count;
    if (freed_by < usable_below) out->usable += count;
  }
  if (cursor != nullptr) ::mdb_cursor_close(cursor);
  ::mdb_txn_abort(txn);
  return code == MDB_NOTFOUND ? kOk : status_of(code, "look at free pages");
}

std::uint64_t Environment::disk_free_bytes() const noexcept {
  struct statvfs info {};
  if (::statvfs(options_.path.c_str(), &info) != 0) return 0;
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace rideau::lmdb
