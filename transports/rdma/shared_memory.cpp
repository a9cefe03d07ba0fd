// SPDX-License-Identifier: Apache-2.0
#include "shared_memory.hpp"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rideau::rdma {
namespace {

// The beginning of what an endpoint shares.
struct Region {
  std::uint8_t version = 0;
  std::uint8_t reserved[3] = {};
  std::int32_t process = 0;
};
constexpr std::uint8_t kKnownVersion = 4;

std::string file_of(std::string_view name) {
  const std::size_t scheme = name.find("://");
  if (scheme != std::string_view::npos) name.remove_prefix(scheme + 3);
  while (!name.empty() && name.back() == '\0') name.remove_suffix(1);
  return "/dev/shm/" + std::string(name);
}

// False: there is none, or it is being made.
bool read_region(const std::string& file, Region* region) noexcept {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t got = ::pread(fd, region, sizeof *region, 0);
  ::close(fd);
  return got == sizeof *region && region->version != 0 && region->process > 0;
}

bool has_ended(std::int32_t process) noexcept {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
  if (fd < 0) return errno == ESRCH;
  pollfd one{fd, POLLIN, 0};
  const bool ended = ::poll(&one, 1, 0) == 1;
  ::close(fd);
  return ended;
}

}  // namespace

std::uint32_t process_behind(std::string_view name) noexcept {
  Region region;
  if (!read_region(file_of(name), &region)) return 0;
  if (region.version != kKnownVersion) return kUnknownProcess;
  return has_ended(region.process) ? 0 : static_cast<std::uint32_t>(region.process);
}

void free_name(std::string_view name) noexcept {
  const std::string file = file_of(name);
  Region region;
  if (!read_region(file, &region) || region.version != kKnownVersion || !has_ended(region.process)) return;
  ::unlink(file.c_str());
}

}  // namespace rideau::rdma
