// SPDX-License-Identifier: Apache-2.0
// See data_buffer.hpp.
#include "plugins/client/data_buffer.hpp"

#include "framework/base/watched_memory.hpp"

#include <algorithm>
#include <new>

namespace rideau::client {

namespace {

constexpr std::align_val_t kPage{kPageBytes};
constexpr std::size_t kSpareAlways = 512;  // a full cache evicts one for each that it takes

}  // namespace

// Small ones are not aligned: a page of its own for each would take twice the memory.
std::uint8_t* BufferPool::allocate(std::uint32_t capacity) {
  std::uint8_t* shared = capacity == kBlockBytes && lendable != nullptr ? lendable->take(capacity) : nullptr;
  if (shared != nullptr) return shared;
  void* memory = capacity == kBlockBytes ? ::operator new(capacity, kPage) : ::operator new(capacity);
  return static_cast<std::uint8_t*>(memory);
}

void BufferPool::release(std::uint8_t* bytes, std::uint32_t capacity) noexcept {
  if (capacity == kBlockBytes && lendable != nullptr && lendable->put(bytes, capacity)) return;
  if (capacity == kBlockBytes) {
    ::operator delete(bytes, kPage);
  } else {
    ::operator delete(bytes);
  }
}

BufferPool::~BufferPool() {
  for (std::uint8_t* memory : spare) release(memory, kBlockBytes);
}

Buffer::Buffer(std::shared_ptr<BufferPool> pool, std::uint32_t begin, std::uint32_t capacity, bool counts)
    : pool_(std::move(pool)), begin_(begin), capacity_(capacity) {
  if (capacity == kBlockBytes && !pool_->spare.empty()) {
    bytes_ = pool_->spare.back();
    pool_->spare.pop_back();
    pool_->spare_least = std::min(pool_->spare_least, pool_->spare.size());
  } else {
    bytes_ = pool_->allocate(capacity);
  }
  if (counts) count();
}

Buffer::~Buffer() {
  if (counts_) pool_->bytes -= capacity_;
  const std::uint64_t kept = pool_->bytes + (pool_->spare.size() + 1) * kBlockBytes;
  const bool room = pool_->spare.size() < kSpareAlways || kept <= pool_->bytes_max;
  if (!kMemoryIsWatched && capacity_ == kBlockBytes && room) {
    pool_->spare.push_back(bytes_);
  } else {
    pool_->release(bytes_, capacity_);
  }
}

void Buffer::count() noexcept {
  if (!counts_) pool_->bytes += capacity_;
  counts_ = true;
}

}  // namespace rideau::client
