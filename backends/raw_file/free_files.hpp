// SPDX-License-Identifier: Apache-2.0
// FreeFiles: empty files of removed objects, kept in the folder `free` to become new objects. ext4 searches long for an
// inode after many were freed (it does not use one again within a minute), and a rename is cheaper than a new file.
//
// All of this blocks, and is used by one thread at a time.
#pragma once

#include <cstdint>
#include <vector>

namespace rideau::raw_file {

class FreeFiles {
 public:
  FreeFiles() = default;
  FreeFiles(const FreeFiles&) = delete;
  FreeFiles& operator=(const FreeFiles&) = delete;
  ~FreeFiles() { close(); }

  // Opens the folder below that of the store, and makes it. Files that are empty are used, others go. 0 or an errno.
  int open(int store_folder) noexcept;
  void close() noexcept;

  // A new and empty file of this path below `objects`. Its descriptor or a negative errno; -EEXIST: there is one.
  int make(int objects, const char* path) noexcept;
  // The file of this path goes. `fd`: its descriptor, closed here, or -1. 0 or a negative errno.
  int remove(int objects, const char* path, int fd) noexcept;
  // Made by make() and remove() so far.
  std::uint64_t system_calls() const noexcept { return system_calls_; }

 private:
  int folder_ = -1;
  std::uint32_t next_ = 0;
  std::vector<std::uint32_t> numbers_;
  std::uint64_t system_calls_ = 0;
};

}  // namespace rideau::raw_file
