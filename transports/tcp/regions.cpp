// SPDX-License-Identifier: Apache-2.0
#include "regions.hpp"

#include "limits.hpp"
#include "parts.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::tcp {
namespace {

struct KeyBytes {
  std::uint32_t slot;
  std::uint32_t generation;
  std::uint64_t token;
};
static_assert(sizeof(KeyBytes) == 16);

}  // namespace

RegionTable::~RegionTable() {
  for (Slot& slot : slots_) delete slot.region;
}

TcpRegion* RegionTable::add(const IoVec* parts, std::uint32_t count, std::uint32_t access, std::uint64_t token,
                            RegionKey* key) {
  if (free_slots_.empty() && slots_.size() >= kRegionsMax) return nullptr;
  auto* region = new TcpRegion;
  if (free_slots_.empty()) {
    region->slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    region->slot = free_slots_.back();
    free_slots_.pop_back();
  }
  Slot& slot = slots_[region->slot];
  slot.region = region;
  region->parts = std::make_unique<IoVec[]>(count);
  std::copy_n(parts, count, region->parts.get());
  region->part_count = count;
  region->access = access;
  region->size = total_size(parts, count);
  region->token = token;
  region->generation = slot.generation;
  const KeyBytes bytes{region->slot, slot.generation, token};
  key->size = sizeof bytes;
  std::memcpy(key->bytes, &bytes, sizeof bytes);
  ++count_;
  if ((access & kAccessPush) != 0) ++push_count_;
  return region;
}

void RegionTable::remove(TcpRegion& region) noexcept {
  Slot& slot = slots_[region.slot];
  slot.region = nullptr;
  ++slot.generation;
  free_slots_.push_back(region.slot);
  --count_;
  if ((region.access & kAccessPush) != 0) --push_count_;
  delete &region;
}

Code RegionTable::find(const BulkHead& head, std::uint32_t access, TcpRegion** out) const noexcept {
  if (head.slot >= slots_.size()) return Code::not_found;
  const Slot& slot = slots_[head.slot];
  if (slot.region == nullptr || slot.generation != head.generation || slot.region->token != head.token) {
    return Code::not_found;
  }
  TcpRegion& region = *slot.region;
  if ((region.access & access) == 0) return Code::invalid;
  if (head.size > region.size || head.offset > region.size - head.size) return Code::invalid;
  *out = &region;
  return Code::ok;
}

bool read_key(const RegionKey& key, BulkHead* out) noexcept {
  KeyBytes bytes{};
  if (key.size != sizeof bytes) return false;
  std::memcpy(&bytes, key.bytes, sizeof bytes);
  out->slot = bytes.slot;
  out->generation = bytes.generation;
  out->token = bytes.token;
  return true;
}

}  // namespace rideau::tcp
