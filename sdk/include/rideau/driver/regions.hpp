// SPDX-License-Identifier: Apache-2.0
// For authors of transports, optional: the memory that one link lends to its peer, and who may reach it. A key names
// slot, generation and a random token, so a key of a region that was reclaimed reaches nothing, also when its slot is
// used again, and cannot be guessed.
#pragma once

#include "rideau/driver/parts.hpp"
#include "rideau/transport.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace rideau::driver {

// The bytes of a RegionKey, as they also stand in messages; the token is random and not 0.
struct KeyBytes {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint64_t token = 0;
};
static_assert(sizeof(KeyBytes) == 16);

// False when these bytes were never such a key.
inline bool read_key(const RegionKey& key, KeyBytes* out) noexcept {
  if (key.size != sizeof *out) return false;
  std::memcpy(out, key.bytes, sizeof *out);
  return true;
}

class LentRegion final : public Region {
 public:
  PartCursor at(std::uint64_t offset) const noexcept {
    PartCursor cursor(parts.get(), part_count);
    cursor.skip(offset);
    return cursor;
  }

  std::unique_ptr<IoVec[]> parts;
  std::uint32_t part_count = 0;
  std::uint32_t access = 0;
  std::uint32_t slot = 0;
  std::uint64_t size = 0;
  std::uint64_t token = 0;
};

class RegionTable {
 public:
  explicit RegionTable(std::uint32_t regions_max) noexcept : regions_max_(regions_max) {}
  RegionTable(const RegionTable&) = delete;
  RegionTable& operator=(const RegionTable&) = delete;

  // Null when the table is full.
  LentRegion* add(const IoVec* parts, std::uint32_t count, std::uint32_t access, std::uint64_t token, RegionKey* key) {
    if (free_slots_.empty() && slots_.size() >= regions_max_) return nullptr;
    if (free_slots_.empty()) {
      free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
      slots_.emplace_back();
    }
    auto region = std::make_unique<LentRegion>();
    region->slot = free_slots_.back();
    free_slots_.pop_back();
    region->parts = std::make_unique<IoVec[]>(count);
    std::copy_n(parts, count, region->parts.get());
    region->part_count = count;
    region->access = access;
    region->size = total_size(parts, count);
    region->token = token;
    Slot& slot = slots_[region->slot];
    const KeyBytes bytes{region->slot, slot.generation, token};
    key->size = sizeof bytes;
    std::memcpy(key->bytes, &bytes, sizeof bytes);
    slot.region = std::move(region);
    return slot.region.get();
  }
  void remove(LentRegion& region) noexcept {
    Slot& slot = slots_[region.slot];
    free_slots_.push_back(region.slot);
    ++slot.generation;
    slot.region.reset();
  }
  // not_found: the key reaches nothing. invalid: outside of the region, or access that was not granted.
  Code find(const KeyBytes& key, std::uint32_t access, std::uint64_t offset, std::uint64_t size,
            LentRegion** out) const noexcept {
    if (key.slot >= slots_.size()) return Code::not_found;
    const Slot& slot = slots_[key.slot];
    if (slot.region == nullptr || slot.generation != key.generation || slot.region->token != key.token) {
      return Code::not_found;
    }
    LentRegion& region = *slot.region;
    if ((region.access & access) == 0) return Code::invalid;
    if (size > region.size || offset > region.size - size) return Code::invalid;
    *out = &region;
    return Code::ok;
  }

 private:
  struct Slot {
    std::unique_ptr<LentRegion> region;
    std::uint32_t generation = 1;
  };
  const std::uint32_t regions_max_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
};

}  // namespace rideau::driver
