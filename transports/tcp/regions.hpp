// SPDX-License-Identifier: Apache-2.0
// The memory that one link lends to its peer, and who may reach it. A key names slot, generation and a random token, so
// a key of a region that was reclaimed reaches nothing, also when its slot is used again, and cannot be guessed.
#pragma once

#include "frame.hpp"
#include "rideau/transport.hpp"

#include <memory>
#include <vector>

namespace rideau::tcp {

class TcpLink;

class TcpRegion final : public Region {
 public:
  TcpLink* owner = nullptr;  // the connection that it is lent on
  std::unique_ptr<IoVec[]> parts;
  std::uint32_t part_count = 0;
  std::uint32_t access = 0;
  std::uint32_t slot = 0;
  std::uint64_t size = 0;
  std::uint64_t token = 0;
  std::uint32_t generation = 0;
  bool shown = false;         // the peer may hold it (shown_memory.hpp)
  std::uint32_t answers = 0;  // pulls that are being answered from it
};

class RegionTable {
 public:
  ~RegionTable();
  RegionTable() = default;
  RegionTable(const RegionTable&) = delete;
  RegionTable& operator=(const RegionTable&) = delete;

  // Null when the table is full.
  TcpRegion* add(const IoVec* parts, std::uint32_t count, std::uint32_t access, std::uint64_t token, RegionKey* key);
  void remove(TcpRegion& region) noexcept;
  // not_found: the key reaches nothing. invalid: outside the region, or access that was not granted.
  Code find(const BulkHead& head, std::uint32_t access, TcpRegion** out) const noexcept;
  std::uint32_t count() const noexcept { return count_; }
  template <class Visit>
  void each(Visit visit) {
    for (Slot& slot : slots_) {
      if (slot.region != nullptr) visit(*slot.region);
    }
  }
  // Regions that the peer may push into.
  std::uint32_t push_count() const noexcept { return push_count_; }

 private:
  struct Slot {
    TcpRegion* region = nullptr;
    std::uint32_t generation = 1;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t count_ = 0;
  std::uint32_t push_count_ = 0;
};

// False when these bytes were never a key of this transport.
bool read_key(const RegionKey& key, BulkHead* out) noexcept;

}  // namespace rideau::tcp
