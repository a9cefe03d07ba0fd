// SPDX-License-Identifier: Apache-2.0
#include "pools.hpp"

#include <new>

namespace rideau::rdma {

FrameBuffer* FramePool::take(std::uint64_t key_wish) noexcept {
  if (free_.empty()) {
    Slab slab;
    constexpr std::size_t kBytes = std::size_t{kSlabFrames} * kFrameBytes;
    slab.memory.reset(new (std::nothrow) std::uint8_t[kBytes]);
    slab.frames.reset(new (std::nothrow) FrameBuffer[kSlabFrames]);
    if (slab.memory == nullptr || slab.frames == nullptr) return nullptr;
    if (!fabric_.enroll(slab.memory.get(), kBytes, access_, key_wish, &slab.registration).ok()) return nullptr;
    for (std::uint32_t i = 0; i < kSlabFrames; ++i) {
      slab.frames[i].data = slab.memory.get() + std::size_t{i} * kFrameBytes;
      slab.frames[i].descriptor = fi_mr_desc(slab.registration.get());
      free_.push_back(&slab.frames[i]);
    }
    slabs_.push_back(std::move(slab));
  }
  FrameBuffer* frame = free_.back();
  free_.pop_back();
  frame->bytes = 0;
  frame->at = 0;
  frame->peer = nullptr;
  return frame;
}

}  // namespace rideau::rdma
