// SPDX-License-Identifier: Apache-2.0
// Grants: promises of space. The sum of what clients may still write on a promise never exceeds what is free, less a
// reserve for what the store itself needs. They live in memory: a new boot epoch has promised nothing.
#pragma once

#include <cstdint>
#include <map>

namespace rideau::oss {

struct GrantOptions {
  std::uint64_t session_bytes_max = 256ull << 20;  // outstanding, a session
  std::uint64_t reserve_bytes = 64ull << 20;       // or a sixteenth of the device, when that is less
  std::uint32_t device_shares = 1;                 // targets that may promise space of the same device
};

// What a store can still take. Each granted page may be the first one of a new object.
struct FreeSpace {
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_free = 0;
  std::uint64_t objects_free = ~0ull;
};

class Grants {
 public:
  explicit Grants(GrantOptions options) : options_(options) {}
  void set_device_shares(std::uint32_t shares) noexcept { options_.device_shares = shares; }

  // The session has written `used` bytes on what it had, or given them up.
  void use(std::uint64_t session, std::uint64_t used) noexcept;
  // What it gets of the `wanted` bytes; 0 when space runs out.
  std::uint64_t give(std::uint64_t session, std::uint64_t wanted, const FreeSpace& space) noexcept;
  // Whether so many bytes more fit that nobody was promised. Others may promise space of this device as well: as much
  // as we do, for all we know.
  bool fits(std::uint64_t bytes, const FreeSpace& space) const noexcept;
  void forget(std::uint64_t session) noexcept;
  std::uint64_t outstanding() const noexcept { return total_; }
  std::uint64_t outstanding(std::uint64_t session) const noexcept;

 private:
  GrantOptions options_;
  std::map<std::uint64_t, std::uint64_t> sessions_;
  std::uint64_t total_ = 0;
};

}  // namespace rideau::oss
