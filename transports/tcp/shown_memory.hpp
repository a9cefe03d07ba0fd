// SPDX-License-Identifier: Apache-2.0
// Lent memory that the peer sees. A side gives the other one two files over the Unix socket: the memory in which what
// it lends lies, and a table of what of it is lent at the moment. The peer maps both, and transfers without the socket.
// README.md says why the peer is trusted.
#pragma once

#include "frame.hpp"
#include "regions.hpp"
#include "rideau/transport.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace rideau::tcp {

constexpr std::uint32_t kShownParts = 72;  // of one region; with more it goes through the socket

// One region, at the place of its slot. Both sides run on it at the same time.
struct ShownRecord {
  // The generation of the slot in the upper half; kShownNow while it may be reached; how many hold it below.
  std::atomic<std::uint64_t> state;
  std::atomic<std::uint64_t> token;
  std::atomic<std::uint64_t> access;
  std::atomic<std::uint64_t> part_count;
  std::atomic<std::uint64_t> places[2 * kShownParts];  // offset in the memory and size of each part
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Of the side that lends.
class ShownRegions {
 public:
  explicit ShownRegions(SharedMemory& memory) noexcept : memory_(memory) {}
  ~ShownRegions();
  ShownRegions(const ShownRegions&) = delete;
  ShownRegions& operator=(const ShownRegions&) = delete;

  bool open() noexcept;
  int table() const noexcept { return fd_; }
  SharedMemory& memory() noexcept { return memory_; }

  // Where all of it lies in the memory. Marks the region.
  void show(TcpRegion& region) noexcept;
  // The peer reaches it no more from now on. True when it still holds it.
  bool hide(TcpRegion& region) noexcept;
  bool lies_in_memory(const TcpRegion& region) const noexcept;

 private:
  SharedMemory& memory_;
  int fd_ = -1;
  ShownRecord* records_ = nullptr;
};

// What the other side holds of a region.
struct Hold {
  Hold* next_free = nullptr;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint32_t part_count = 0;
  IoVec parts[kShownParts] = {};
};

// Of the side that reaches.
class PeerMemory {
 public:
  // Null when these are not what they should be. The descriptors stay the caller's.
  static std::unique_ptr<PeerMemory> map(int memory, int table) noexcept;
  ~PeerMemory();
  PeerMemory(const PeerMemory&) = delete;
  PeerMemory& operator=(const PeerMemory&) = delete;

  // Null when it is not shown: another generation, access or range, or more parts than are shown.
  Hold* hold(const BulkHead& bulk, std::uint32_t access) noexcept;
  void let_go(Hold* hold) noexcept;

 private:
  PeerMemory() = default;
  bool describe(const ShownRecord& record, const BulkHead& bulk, std::uint32_t access, Hold& hold) const noexcept;
  void drop(std::uint32_t slot, std::uint32_t generation) noexcept;

  std::uint8_t* memory_ = nullptr;
  std::uint64_t memory_bytes_ = 0;
  ShownRecord* records_ = nullptr;
  std::vector<std::unique_ptr<Hold>> holds_;
  Hold* free_ = nullptr;
};

}  // namespace rideau::tcp
