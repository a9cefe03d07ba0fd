// SPDX-License-Identifier: Apache-2.0
// The file below a device: a block device, or an image in a file system. Opened, held and formatted here. All of this
// blocks.
#pragma once

#include "superblock.hpp"

#include <cstdint>
#include <string>

namespace rideau::block_device {

// What a device looks like before anything is written to it.
struct DeviceLook {
  bool blank = false;    // the first MiB is zero, and nothing known is further behind
  std::string contents;  // else: what is there, for people
  std::uint64_t bytes = 0;
  bool is_device = false;  // not an image
};

class DeviceFile {
 public:
  DeviceFile() = default;
  DeviceFile(const DeviceFile&) = delete;
  DeviceFile& operator=(const DeviceFile&) = delete;
  ~DeviceFile() { close(); }

  // Opens for reading and writing without the page cache where that can be done (direct() tells), and holds it against
  // other processes. exists: one of them holds it. message() says what is wrong and what to do.
  Status open(const std::string& path) noexcept;
  // Makes a sparse image, formatted, under a name that must be free; whole or not at all.
  Status make_image(const std::string& path, std::uint64_t bytes, const DeviceUuid& uuid) noexcept;
  // After open().
  Status look(DeviceLook* to) noexcept;
  Status format(const DeviceUuid& uuid) noexcept;
  void close() noexcept;

  int fd() const noexcept { return fd_; }
  bool direct() const noexcept { return direct_; }
  bool is_device() const noexcept { return is_device_; }
  std::uint64_t bytes() const noexcept { return bytes_; }
  const std::string& message() const noexcept { return message_; }

 private:
  Status fail(Status status, std::string message) noexcept;
  Status write_superblocks(int fd, const DeviceUuid& uuid, std::uint64_t bytes) noexcept;

  std::string path_;
  std::string message_;
  int fd_ = -1;
  bool direct_ = false;
  bool is_device_ = false;
  std::uint64_t bytes_ = 0;
};

}  // namespace rideau::block_device
