// SPDX-License-Identifier: Apache-2.0
#include "shown_memory.hpp"

#include "limits.hpp"
#include "socket.hpp"

#include <algorithm>
#include <utility>

namespace rideau::tcp {
namespace {

constexpr std::uint64_t kTableBytes = std::uint64_t{kRegionsMax} * sizeof(ShownRecord);
constexpr std::uint64_t kShownNow = 1ull << 31;
constexpr std::uint64_t kHolders = kShownNow - 1;

constexpr std::uint64_t state_of(std::uint32_t generation) noexcept { return std::uint64_t{generation} << 32; }

}  // namespace

ShownRegions::~ShownRegions() {
  if (records_ != nullptr) unmap_file(records_, kTableBytes);
  if (fd_ >= 0) close_socket(fd_);
}

bool ShownRegions::open() noexcept {
  void* mapped = nullptr;
  fd_ = make_file("rideau-tcp", kTableBytes, &mapped);
  records_ = static_cast<ShownRecord*>(mapped);
  return fd_ >= 0;
}

bool ShownRegions::lies_in_memory(const TcpRegion& region) const noexcept {
  std::uint64_t offset = 0;
  return std::all_of(region.parts.get(), region.parts.get() + region.part_count,
                     [&](const IoVec& part) { return part.size == 0 || memory_.find(part.base, part.size, &offset); });
}

void ShownRegions::show(TcpRegion& region) noexcept {
  if (region.part_count > kShownParts || !lies_in_memory(region)) return;
  ShownRecord& record = records_[region.slot];
  // Who reads the record as it was before sees a place of now only together with the state of now.
  std::atomic_thread_fence(std::memory_order_release);
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < region.part_count; ++i) {
    const IoVec& part = region.parts[i];
    std::uint64_t offset = 0;
    if (part.size == 0 || !memory_.find(part.base, part.size, &offset)) continue;
    record.places[2 * count].store(offset, std::memory_order_relaxed);
    record.places[2 * count + 1].store(part.size, std::memory_order_relaxed);
    ++count;
  }
  record.part_count.store(count, std::memory_order_relaxed);
  record.access.store(region.access, std::memory_order_relaxed);
  record.token.store(region.token, std::memory_order_relaxed);
  record.state.store(state_of(region.generation) | kShownNow, std::memory_order_release);
  region.shown = true;
}

bool ShownRegions::hide(TcpRegion& region) noexcept {
  region.shown = false;
  return (records_[region.slot].state.exchange(0, std::memory_order_acq_rel) & kHolders) != 0;
}

std::unique_ptr<PeerMemory> PeerMemory::map(int memory, int table) noexcept {
  std::unique_ptr<PeerMemory> made(new PeerMemory);
  std::uint64_t table_bytes = 0;
  void* records = map_file(table, &table_bytes);
  if (records != nullptr && table_bytes != kTableBytes) unmap_file(std::exchange(records, nullptr), table_bytes);
  if (records == nullptr) return nullptr;
  made->records_ = static_cast<ShownRecord*>(records);
  made->memory_ = static_cast<std::uint8_t*>(map_file(memory, &made->memory_bytes_));
  if (made->memory_ == nullptr) return nullptr;
  return made;
}

PeerMemory::~PeerMemory() {
  if (records_ != nullptr) unmap_file(records_, kTableBytes);
  if (memory_ != nullptr) unmap_file(memory_, memory_bytes_);
}

// The record may be filled anew while it is read: what was read counts only when the generation is still the same.
Hold* PeerMemory::hold(const BulkHead& bulk, std::uint32_t access) noexcept {
  if (bulk.slot >= kRegionsMax) return nullptr;
  ShownRecord& record = records_[bulk.slot];
  std::uint64_t seen = record.state.load(std::memory_order_acquire);
  do {
    const bool same = (seen & ~kHolders) == (state_of(bulk.generation) | kShownNow);
    if (!same || (seen & kHolders) == kHolders) return nullptr;
  } while (!record.state.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel));
  if (free_ == nullptr) {
    holds_.push_back(std::make_unique<Hold>());
    free_ = holds_.back().get();
  }
  Hold* hold = free_;
  const bool described = describe(record, bulk, access, *hold);
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint64_t now = record.state.load(std::memory_order_acquire);
  if (!described || (now & ~kHolders) != (state_of(bulk.generation) | kShownNow)) {
    drop(bulk.slot, bulk.generation);
    return nullptr;
  }
  free_ = std::exchange(hold->next_free, nullptr);
  hold->slot = bulk.slot;
  hold->generation = bulk.generation;
  return hold;
}

// Nothing in the record is believed: a place outside of the mapping would end this process.
bool PeerMemory::describe(const ShownRecord& record, const BulkHead& bulk, std::uint32_t access,
                          Hold& hold) const noexcept {
  if (record.token.load(std::memory_order_relaxed) != bulk.token) return false;
  if ((record.access.load(std::memory_order_relaxed) & access) == 0) return false;
  const std::uint64_t count = record.part_count.load(std::memory_order_relaxed);
  if (count > kShownParts || bulk.size > kBulkBytesMax) return false;
  std::uint64_t skip = bulk.offset;
  std::uint64_t left = bulk.size;
  hold.part_count = 0;
  for (std::uint64_t i = 0; i < count && left > 0; ++i) {
    const std::uint64_t offset = record.places[2 * i].load(std::memory_order_relaxed);
    const std::uint64_t size = record.places[2 * i + 1].load(std::memory_order_relaxed);
    if (size > memory_bytes_ || offset > memory_bytes_ - size) return false;
    if (skip >= size) {
      skip -= size;
      continue;
    }
    const std::uint64_t take = std::min(left, size - skip);
    // Reading a byte lets the kernel map many pages around it; a write into each would map them one by one.
    static_cast<void>(*static_cast<const volatile std::uint8_t*>(memory_ + offset + skip));
    hold.parts[hold.part_count++] = {memory_ + offset + skip, take};
    left -= take;
    skip = 0;
  }
  return left == 0;
}

void PeerMemory::let_go(Hold* hold) noexcept {
  drop(hold->slot, hold->generation);
  hold->next_free = free_;
  free_ = hold;
}

// Where the owner has taken the region back meanwhile there is nothing to count any more.
void PeerMemory::drop(std::uint32_t slot, std::uint32_t generation) noexcept {
  std::atomic<std::uint64_t>& state = records_[slot].state;
  std::uint64_t seen = state.load(std::memory_order_acquire);
  while ((seen & ~kHolders) == (state_of(generation) | kShownNow) && (seen & kHolders) != 0) {
    if (state.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel)) return;
  }
}

}  // namespace rideau::tcp
