// SPDX-License-Identifier: Apache-2.0
#include "regions.hpp"

#include <cstring>

namespace rideau::rdma {
namespace {

struct KeyBytes {
  std::uint32_t slot;
  std::uint32_t generation;
  std::uint64_t token;
};
static_assert(sizeof(KeyBytes) == 16);

}  // namespace

LentRegions::~LentRegions() {
  for (Slot& slot : slots_) delete slot.region;
}

RdmaRegion* LentRegions::add(std::uint32_t parts, std::uint64_t token, RegionKey* key) {
  if (free_slots_.empty() && slots_.size() >= kRegionsMax) return nullptr;
  if (parts_ + parts > kRegionPartsMax) return nullptr;
  auto* region = new RdmaRegion;
  if (free_slots_.empty()) {
    region->slot = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    region->slot = free_slots_.back();
    free_slots_.pop_back();
  }
  Slot& slot = slots_[region->slot];
  slot.region = region;
  slot.parts = parts;
  region->generation = slot.generation;
  region->token = token;
  const KeyBytes bytes{region->slot, region->generation, token};
  key->size = sizeof bytes;
  std::memcpy(key->bytes, &bytes, sizeof bytes);
  ++count_;
  parts_ += parts;
  return region;
}

RdmaRegion* LentRegions::find(std::uint32_t slot, std::uint32_t generation) const noexcept {
  if (slot >= slots_.size() || slots_[slot].generation != generation) return nullptr;
  return slots_[slot].region;
}

void LentRegions::remove(RdmaRegion& region) noexcept {
  Slot& slot = slots_[region.slot];
  slot.region = nullptr;
  ++slot.generation;
  parts_ -= slot.parts;
  --count_;
  free_slots_.push_back(region.slot);
  delete &region;
}

RdmaRegion* LentRegions::next_reclaiming() const noexcept {
  for (const Slot& slot : slots_) {
    if (slot.region != nullptr && slot.region->reclaiming != nullptr) return slot.region;
  }
  return nullptr;
}

void LentRegions::close_all() noexcept {
  for (Slot& slot : slots_) {
    if (slot.region != nullptr) slot.region->registrations.clear();
  }
}

bool RemoteRegions::describe(const Describe& what, Bytes parts) {
  if (what.slot >= kRegionsMax || parts.size != std::size_t{what.parts} * sizeof(RemotePart)) return false;
  if (what.parts > kRegionPartsMax || parts_ + what.parts > kRegionPartsMax) return false;
  if (what.slot >= slots_.size()) slots_.resize(what.slot + 1);
  RemoteRegion& region = slots_[what.slot];
  const bool fresh = region.generation == 0;
  const bool goes_on = region.generation == what.generation && region.token == what.token && !region.described;
  if (what.generation == 0 || (!fresh && !goes_on)) return false;
  region.generation = what.generation;
  region.token = what.token;
  region.access = what.access;
  const std::size_t before = region.parts.size();
  region.parts.resize(before + what.parts);
  if (what.parts > 0) std::memcpy(region.parts.data() + before, parts.data, parts.size);
  parts_ += what.parts;
  for (std::size_t i = before; i < region.parts.size(); ++i) {
    if (region.parts[i].bytes > kBulkBytesMax - region.bytes) return false;
    region.bytes += region.parts[i].bytes;
  }
  region.described = what.last != 0;
  return true;
}

RemoteRegion* RemoteRegions::find(const Revoke& which) noexcept {
  if (which.slot >= slots_.size() || which.generation == 0) return nullptr;
  RemoteRegion& region = slots_[which.slot];
  return region.generation == which.generation && region.described ? &region : nullptr;
}

RemoteRegion* RemoteRegions::find(const RegionKey& key, std::uint32_t* slot) noexcept {
  KeyBytes bytes{};
  if (key.size != sizeof bytes) return nullptr;
  std::memcpy(&bytes, key.bytes, sizeof bytes);
  RemoteRegion* region = find(Revoke{bytes.slot, bytes.generation});
  if (region == nullptr || region->token != bytes.token || region->revoked) return nullptr;
  *slot = bytes.slot;
  return region;
}

void RemoteRegions::remove(std::uint32_t slot) noexcept {
  parts_ -= static_cast<std::uint32_t>(slots_[slot].parts.size());
  slots_[slot] = RemoteRegion{};
}

}  // namespace rideau::rdma
