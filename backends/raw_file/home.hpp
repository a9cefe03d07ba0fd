// SPDX-License-Identifier: Apache-2.0
// The folder of a store: its format file, its lock and the mark of a clean stop. All of this blocks.
//
//   format    lines: what this is, the version of the format, the store's UUID; with sums of blocks in an index their
//   id lock      held with flock(2) while a process uses the store; says which objects/  the files of the objects, see
//   layout.hpp free/     empty files that wait to become objects, see free_files.hpp clean     only between a clean
//   stop and the next start: the count of objects, which otherwise is counted anew
#pragma once

#include "free_files.hpp"
#include "rideau/status.hpp"
#include "sum_records.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace rideau::raw_file {

// Grows with each change that an older driver could not read or would damage. Version 2: the index has sums of blocks,
// which an older driver would leave as they are while it changes the blocks.
constexpr std::uint32_t kFormatVersion = 2;

// No object is larger; what ext4 with blocks of 4 KiB can hold.
constexpr std::uint64_t kObjectBytesMax = (1ull << 44) - (1ull << 20);

class Home {
 public:
  Home() = default;
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
  ~Home() { close(); }

  // Opens the folder, makes it when only its parent exists, and takes the lock. `new_uuid` is used for a new store.
  // On failure message() says in words what is wrong and what to do; what another version wrote is left untouched.
  Status open(const std::string& path, const std::uint8_t (&new_uuid)[16]) noexcept;
  // Which sums in the index are those of this store; none: it keeps none, and older drivers may use it.
  const std::optional<SumsId>& sums() const noexcept { return sums_; }
  Status keep_sums(const std::optional<SumsId>& sums) noexcept;
  // Leaves the mark of a clean stop.
  Status mark_clean(std::uint64_t object_count) noexcept;
  void close() noexcept;

  int objects() const noexcept { return objects_; }
  FreeFiles& free_files() noexcept { return free_files_; }
  std::uint64_t object_count() const noexcept { return object_count_; }
  // The last process that had the store ended without a word: what it had written may not be durable yet.
  bool left_open() const noexcept { return left_open_; }
  std::uint64_t object_bytes_max() const noexcept { return object_bytes_max_; }
  // The same number for every store of this kernel whose folder is on the same file system; 0: not known.
  std::uint64_t device() const noexcept { return device_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& uuid() const noexcept { return uuid_; }

 private:
  Status fail(Code code, int error, const char* where, std::string message) noexcept;
  Status open_folder(const std::string& path) noexcept;
  Status read_format(bool& found) noexcept;
  Status make_store(const std::uint8_t (&new_uuid)[16]) noexcept;
  int write_format() noexcept;
  Status refuse_strange_folder() noexcept;
  Status take_lock() noexcept;
  Status take_count() noexcept;
  Status probe_file_size() noexcept;
  void identify_device() noexcept;

  std::string path_;
  std::string uuid_;
  std::optional<SumsId> sums_;
  std::string message_;
  int folder_ = -1;
  int lock_ = -1;
  int objects_ = -1;
  FreeFiles free_files_;
  std::uint64_t object_count_ = 0;
  bool left_open_ = false;
  std::uint64_t object_bytes_max_ = 0;
  std::uint64_t device_ = 0;
};

}  // namespace rideau::raw_file
