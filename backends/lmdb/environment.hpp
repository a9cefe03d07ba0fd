// SPDX-License-Identifier: Apache-2.0
// The files of one index: its folder, the lock that keeps a second process out, the LMDB environment and the record
// that says which format the data has. The system calls of this driver are here.
#pragma once

#include "rideau/host.hpp"
#include "rideau/status.hpp"

#include <lmdb.h>

#include <cstdint>
#include <string>

namespace rideau::lmdb {

constexpr std::uint32_t kFormatVersion = 1;

// A return code of LMDB as a Status.
Status status_of(int lmdb_code, const char* where) noexcept;

inline MDB_val to_lmdb(Bytes bytes) noexcept {
  static std::uint8_t nothing = 0;  // LMDB copies from the address even when the size is 0
  return {bytes.size, bytes.size == 0 ? &nothing : const_cast<std::uint8_t*>(bytes.data)};
}
inline Bytes from_lmdb(const MDB_val& value) noexcept { return Bytes(value.mv_data, value.mv_size); }

// Pages that a transaction can be given.
struct FreePages {
  std::uint64_t tail = 0;      // never used so far
  std::uint64_t usable = 0;    // freed, and by now neither a snapshot nor the last commit needs them
  std::uint64_t unpinned = 0;  // freed, and no snapshot needs them
  std::uint64_t freed = 0;     // all that were freed
};

class Environment {
 public:
  struct Options {
    std::string path;
    std::uint64_t map_size = 0;
    std::uint32_t max_readers = 0;
    bool sync = true;
    bool compact = false;  // write the file anew without the pages that nothing uses, before anything else
  };

  Environment() = default;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { close(); }

  // Blocking. Says in the log what stands in the way: path, process, version.
  Status open(Host& host, const Options& options) noexcept;
  // Every transaction must have ended. Opening again afterwards is fine.
  void close() noexcept;

  MDB_env* handle() const noexcept { return env_; }
  MDB_dbi entries() const noexcept { return entries_; }
  MDB_dbi format() const noexcept { return format_; }
  std::uint64_t page_bytes() const noexcept { return page_bytes_; }
  std::uint64_t map_pages() const noexcept { return map_pages_; }
  // Pages that only batches that free space may use: with a full map even erasing needs pages to write to.
  std::uint64_t reserve_pages() const noexcept { return reserve_pages_; }

  // Pages never used so far, as of the last commit.
  std::uint64_t tail_pages() const noexcept;
  // Walks the list of freed pages. Those freed by transaction `writer` - 1 are not usable yet (the older of the two
  // meta pages still refers to them), and those freed at or after `oldest_snapshot` are pinned.
  Status free_pages(std::uint64_t writer, std::uint64_t oldest_snapshot, FreePages* out) const noexcept;
  // What the file system beneath can still hold, in bytes.
  std::uint64_t disk_free_bytes() const noexcept;
  // Takes the map's pages out of this process; the kernel keeps them in its cache. Any thread, beside any other work.
  void let_pages_go() const noexcept;

 private:
  Status make_folder(Host& host) noexcept;
  Status take_lock(Host& host) noexcept;
  Status open_environment(Host& host) noexcept;
  Status open_tables(Host& host) noexcept;
  Status read_format(Host& host, MDB_txn* txn, bool* fresh) noexcept;
  Status write_format() noexcept;
  Status sync_folder() noexcept;
  Status compact(Host& host) noexcept;
  Status write_compacted(const std::string& path) noexcept;
  void measure() noexcept;
  void find_map() noexcept;
  std::uint64_t used_bytes() const noexcept;
  void complain(Host& host, const char* what, int lmdb_code) const noexcept;

  Options options_;
  int lock_fd_ = -1;
  MDB_env* env_ = nullptr;
  MDB_dbi entries_ = 0;
  MDB_dbi format_ = 0;
  std::uint64_t page_bytes_ = 4096;
  std::uint64_t map_pages_ = 0;
  std::uint64_t reserve_pages_ = 0;
  void* map_ = nullptr;  // where LMDB has it, when that was found
  std::uint64_t map_bytes_ = 0;
};

}  // namespace rideau::lmdb
