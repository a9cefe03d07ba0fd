// SPDX-License-Identifier: Apache-2.0
#include "device_file.hpp"

#include "../shared/status_of.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace rideau::block_device {
namespace {

using backend::status_of;

// Memory for transfers around the page cache.
struct Free {
  void operator()(std::uint8_t* memory) const noexcept { std::free(memory); }
};
using Memory = std::unique_ptr<std::uint8_t[], Free>;
Memory aligned_memory(std::size_t bytes) {
  return Memory(static_cast<std::uint8_t*>(std::aligned_alloc(kBlockBytes, bytes)));
}

int read_all(int fd, std::uint8_t* to, std::size_t size, std::uint64_t offset) noexcept {
  while (size != 0) {
    const ssize_t count = ::pread(fd, to, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : EIO;
    to += count;
    size -= static_cast<std::size_t>(count);
    offset += static_cast<std::uint64_t>(count);
  }
  return 0;
}

int write_all(int fd, const std::uint8_t* from, std::size_t size, std::uint64_t offset) noexcept {
  while (size != 0) {
    const ssize_t count = ::pwrite(fd, from, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : EIO;
    from += count;
    size -= static_cast<std::size_t>(count);
    offset += static_cast<std::uint64_t>(count);
  }
  return 0;
}

int sync_folder_of(const std::string& path) noexcept {
  const std::size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int error = fd < 0 ? errno : 0;
  if (fd >= 0 && ::fsync(fd) != 0) error = errno;
  if (fd >= 0) ::close(fd);
  return error;
}

// What file systems and tables of partitions write where. Offsets in bytes, all within the first 128 KiB.
struct Signature {
  std::size_t offset;
  const char* bytes;
  std::size_t size;
  const char* what;
};
constexpr Signature kSignatures[] = {
    {0, "RIDEAUBD", 8, "a Rideau block device"},
    {1080, "\x53\xef", 2, "an ext2, ext3 or ext4 file system"},
    {0, "XFSB", 4, "an XFS file system"},
    {65600, "_BHRfS_M", 8, "a btrfs file system"},
    {65588, "ReIsEr", 6, "a reiserfs file system"},
    {512, "EFI PART", 8, "a GPT table of partitions"},
    {4096, "EFI PART", 8, "a GPT table of partitions"},
    {510, "\x55\xaa", 2, "an MBR table of partitions or a boot sector"},
    {512, "LABELONE", 8, "an LVM physical volume"},
    {0, "LUKS\xba\xbe", 6, "a LUKS volume"},
    {4096, "\xfc\x4e\x2b\xa9", 4, "a member of a RAID array"},
    {4086, "SWAPSPACE2", 10, "swap space"},
    {3, "NTFS    ", 8, "an NTFS file system"},
    {32769, "CD001", 5, "an ISO 9660 file system"},
    {0, "hsqs", 4, "a squashfs image"},
};

std::string contents_of(const std::uint8_t* head, std::size_t size) {
  for (const Signature& known : kSignatures) {
    if (std::memcmp(head + known.offset, known.bytes, known.size) == 0) return known.what;
  }
  const bool blank = head[0] == 0 && std::memcmp(head, head + 1, size - 1) == 0;
  return blank ? "" : "data in its first MiB";
}

// Tables that some tools keep at the end of a device.
std::string tail_contents(const std::uint8_t* tail, std::size_t size) {
  if (std::memcmp(tail + size - 512, "EFI PART", 8) == 0) return "the second copy of a GPT table of partitions";
  return {};
}

}  // namespace

Status DeviceFile::fail(Status status, std::string message) noexcept {
  message_ = std::move(message);
  close();
  return status;
}

Status DeviceFile::open(const std::string& path) noexcept {
  path_ = path;
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) {
    return fail(status_of(errno, "open the device"), path + ": " + std::strerror(errno));
  }
  is_device_ = S_ISBLK(found.st_mode);
  if (!is_device_ && !S_ISREG(found.st_mode)) {
    return fail({Code::invalid, 0, "open the device"}, path + " is neither a block device nor a regular file");
  }
  // O_EXCL of a block device: no file system on it is mounted.
  const int flags = O_RDWR | O_CLOEXEC | (is_device_ ? O_EXCL : 0);
  fd_ = ::open(path.c_str(), flags | O_DIRECT);
  direct_ = fd_ >= 0;
  if (fd_ < 0 && errno == EINVAL) fd_ = ::open(path.c_str(), flags);
  if (fd_ < 0) {
    const int error = errno;
    if (error == EBUSY) {
      return fail({Code::exists, error, "the device is in use"},
                  path + " is in use: mounted, or part of something else; end that first");
    }
    return fail(status_of(error, "open the device"), path + ": " + std::strerror(error));
  }
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return fail(status_of(error, "lock the device"), path + ": " + std::strerror(error));
    return fail({Code::exists, error, "the device is in use by another process"},
                path + " is in use by another process; stop that one first");
  }
  if (is_device_) {
    int sector = 0;
    if (::ioctl(fd_, BLKGETSIZE64, &bytes_) != 0 || ::ioctl(fd_, BLKSSZGET, &sector) != 0) {
      return fail(status_of(errno, "size of the device"), path + ": " + std::strerror(errno));
    }
    if (static_cast<std::uint64_t>(sector) > kBlockBytes) {
      return fail({Code::unsupported, 0, "sectors of the device"},
                  path + " has sectors of " + std::to_string(sector) + " bytes; at most 4096 are supported");
    }
  } else {
    if (::fstat(fd_, &found) != 0)
      return fail(status_of(errno, "size of the device"), path + ": " + std::strerror(errno));
    bytes_ = static_cast<std::uint64_t>(found.st_size);
  }
  if (bytes_ >= kDeviceBytesMin) return kOk;
  return fail(
      {Code::invalid, 0, "the device is too small"},
      path + " has " + std::to_string(bytes_) + " bytes; at least " + std::to_string(kDeviceBytesMin) + " are needed");
}

Status DeviceFile::make_image(const std::string& path, std::uint64_t bytes, const DeviceUuid& uuid) noexcept {
  const std::string fresh = path + ".new";
  const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  Status status = fd < 0 ? status_of(errno, "make an image") : kOk;
  if (status.ok() && ::ftruncate(fd, static_cast<off_t>(bytes)) != 0) status = status_of(errno, "size of an image");
  if (status.ok()) status = write_superblocks(fd, uuid, bytes);
  if (fd >= 0) ::close(fd);
  // A link and not a rename: what is there by now is never replaced.
  if (status.ok() && ::link(fresh.c_str(), path.c_str()) != 0) status = status_of(errno, "name an image");
  if (fd >= 0) ::unlink(fresh.c_str());
  if (status.ok()) status = status_of(sync_folder_of(path), "name an image durably");
  if (status.ok()) return kOk;
  return fail(status, path + ": cannot make an image of " + std::to_string(bytes) +
                          " bytes: " + std::strerror(status.os_error));
}

Status DeviceFile::look(DeviceLook* to) noexcept {
  constexpr std::size_t kTail = 64 << 10;
  const Memory memory = aligned_memory(kDataOffset);
  to->bytes = bytes_;
  to->is_device = is_device_;
  int error = read_all(fd_, memory.get(), kDataOffset, 0);
  if (error == 0) to->contents = contents_of(memory.get(), kDataOffset);
  if (error == 0 && to->contents.empty()) {
    const std::uint64_t tail = (bytes_ - kTail) / kBlockBytes * kBlockBytes;
    error = read_all(fd_, memory.get(), std::min<std::uint64_t>(kTail, (bytes_ - tail) / 512 * 512), tail);
    if (error == 0 && bytes_ % 512 == 0) to->contents = tail_contents(memory.get(), kTail);
  }
  to->blank = error == 0 && to->contents.empty();
  if (error == 0) return kOk;
  message_ = path_ + ": cannot be read: " + std::strerror(error);
  return status_of(error, "read the device");
}

Status DeviceFile::write_superblocks(int fd, const DeviceUuid& uuid, std::uint64_t bytes) noexcept {
  Superblock superblock;
  superblock.uuid = uuid;
  superblock.device_bytes = bytes;
  const Memory memory = aligned_memory(kBlockBytes);
  encode_superblock(superblock, memory.get());
  for (const std::uint64_t offset : kSuperblockOffsets) {
    const int error = write_all(fd, memory.get(), kBlockBytes, offset);
    if (error != 0) return status_of(error, "write a superblock");
  }
  return ::fsync(fd) == 0 ? kOk : status_of(errno, "flush the superblocks");
}

// What was there before is no more, so that nothing takes the device for what it was.
Status DeviceFile::format(const DeviceUuid& uuid) noexcept {
  const Memory memory = aligned_memory(kDataOffset);
  std::memset(memory.get(), 0, kDataOffset);
  int error = write_all(fd_, memory.get(), kDataOffset, 0);
  const std::uint64_t tail = bytes_ / kBlockBytes * kBlockBytes - (64 << 10);
  if (error == 0) error = write_all(fd_, memory.get(), 64 << 10, tail);
  const Status status = error != 0 ? status_of(error, "clear the device") : write_superblocks(fd_, uuid, bytes_);
  if (!status.ok()) message_ = path_ + ": cannot be written: " + std::strerror(status.os_error);
  return status;
}

void DeviceFile::close() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace rideau::block_device
