// SPDX-License-Identifier: Apache-2.0
#include "framework/runtime/real_shared_memory.hpp"

#include "framework/runtime/real_memory_gauge.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace rideau {
namespace {

constexpr std::uint64_t kSizeMin = 1ull << 30;

}  // namespace

RealSharedMemory::RealSharedMemory() {
  const std::uint64_t wanted = std::max(kSizeMin, RealMemoryGauge().read().total / kUnitBytes * kUnitBytes);
  const int made = ::memfd_create("rideau", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (made < 0) return;
  void* mapped = MAP_FAILED;
  if (::ftruncate(made, static_cast<off_t>(wanted)) == 0 &&
      ::fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
    mapped = ::mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, made, 0);
  }
  if (mapped == MAP_FAILED) {
    ::close(made);
    return;
  }
  // Its pages are others' memory as well: a core file would hold the whole cache.
  ::madvise(mapped, wanted, MADV_DONTDUMP);
  fd_ = made;
  base_ = static_cast<std::uint8_t*>(mapped);
  size_ = wanted;
}

RealSharedMemory::~RealSharedMemory() {
  if (base_ == nullptr) return;
  ::munmap(base_, size_);
  ::close(fd_);
}

std::uint8_t* RealSharedMemory::take(std::size_t bytes) noexcept {
  const std::size_t units = (bytes + kUnitBytes - 1) / kUnitBytes;
  if (base_ == nullptr || units == 0) return nullptr;
  std::vector<std::uint8_t*>& free = free_[units];
  std::uint8_t* memory = free.empty() ? base_ + used_ : free.back();
  if (free.empty() && units * kUnitBytes > size_ - used_) return nullptr;
  // All its pages at once: each by itself would cost a trip into the kernel when it is first touched, and without
  // memory that would end the process.
  if (::madvise(memory, units * kUnitBytes, MADV_POPULATE_WRITE) != 0) return nullptr;
  if (!free.empty()) {
    free.pop_back();
    return memory;
  }
  used_ += units * kUnitBytes;
  cut_.resize(used_ / kUnitBytes);
  return memory;
}

bool RealSharedMemory::put(std::uint8_t* memory, std::size_t bytes) noexcept {
  const std::size_t units = (bytes + kUnitBytes - 1) / kUnitBytes;
  if (!lies_here(memory)) return false;
  const auto offset = static_cast<std::size_t>(memory - base_);
  if (is_cut(offset / kUnitBytes, units)) {
    // A peer may still write to the pages that lay here: they are never given out again.
    ::madvise(memory, units * kUnitBytes, MADV_DONTNEED);
    return true;
  }
  ::madvise(memory, units * kUnitBytes, MADV_REMOVE);
  free_[units].push_back(memory);
  return true;
}

bool RealSharedMemory::lies_here(const void* memory) const noexcept {
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  const auto first = reinterpret_cast<std::uintptr_t>(base_);
  return base_ != nullptr && at >= first && at - first < used_;
}

bool RealSharedMemory::is_cut(std::size_t first_unit, std::size_t units) const noexcept {
  if (!any_cut_) return false;
  for (std::size_t i = first_unit; i < first_unit + units; ++i) {
    if (cut_[i]) return true;
  }
  return false;
}

bool RealSharedMemory::find(const void* base, std::size_t size, std::uint64_t* offset) const noexcept {
  if (size == 0 || !lies_here(base)) return false;
  const auto at = static_cast<std::uint64_t>(static_cast<const std::uint8_t*>(base) - base_);
  if (size > used_ - at) return false;
  if (is_cut(at / kUnitBytes, (at + size - 1) / kUnitBytes - at / kUnitBytes + 1)) return false;
  *offset = at;
  return true;
}

void RealSharedMemory::cut_off(const void* base, std::size_t size) noexcept {
  std::uint64_t offset = 0;
  if (size == 0 || !lies_here(base)) return;
  const auto at = static_cast<std::uint64_t>(static_cast<const std::uint8_t*>(base) - base_);
  std::vector<std::uint8_t> kept(kUnitBytes);
  for (std::size_t unit = at / kUnitBytes; unit <= (at + size - 1) / kUnitBytes; ++unit) {
    std::uint8_t* memory = base_ + unit * kUnitBytes;
    if (!find(memory, kUnitBytes, &offset)) continue;
    std::memcpy(kept.data(), memory, kUnitBytes);
    void* fresh = ::mmap(memory, kUnitBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    // Only when the process has no room for one more mapping: going on would let a peer write where it must not.
    if (fresh == MAP_FAILED) std::abort();
    std::memcpy(memory, kept.data(), kUnitBytes);
    cut_[unit] = true;
    any_cut_ = true;
  }
}

}  // namespace rideau
