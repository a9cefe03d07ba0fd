// SPDX-License-Identifier: Apache-2.0
#include "framework/rpc/buffer_pool.hpp"

#include "framework/base/assert.hpp"
#include "framework/base/watched_memory.hpp"

#include <bit>
#include <new>

namespace rideau::rpc {
namespace {

constexpr std::align_val_t kPage{4096};

}  // namespace

Buffer::~Buffer() {
  if (pool_ != nullptr) pool_->give_back(memory_, charged_);
}

BufferPool::~BufferPool() {
  for (auto& list : free_) {
    for (std::uint8_t* memory : list) ::operator delete(memory, kPage);
  }
}

unsigned BufferPool::class_of(std::uint64_t bytes) noexcept {
  if (bytes <= (1ull << kSmallestShift)) return 0;
  return static_cast<unsigned>(std::bit_width(bytes - 1)) - kSmallestShift;
}

MutableBytes BufferPool::allocate(unsigned index) {
  RIDEAU_ASSERT(index < kClasses);
  auto& list = free_[index];
  if (!list.empty()) {
    std::uint8_t* memory = list.back();
    list.pop_back();
    return {memory, bytes_of(index)};
  }
  return {static_cast<std::uint8_t*>(::operator new(bytes_of(index), kPage)), bytes_of(index)};
}

void BufferPool::give_back(MutableBytes memory, bool charged) noexcept {
  auto& list = free_[class_of(memory.size)];
  if (!kMemoryIsWatched && (list.size() + 1) * memory.size <= kKeptBytesPerClass) {
    list.push_back(memory.data);
  } else {
    ::operator delete(memory.data, kPage);
  }
  if (charged) credits_.give_back(memory.size);
}

Task<Buffer> BufferPool::take(std::uint64_t bytes) {
  const unsigned index = class_of(bytes);
  if (!credits_.try_take(bytes_of(index))) co_await credits_.take(bytes_of(index));
  co_return Buffer(*this, allocate(index), true);
}

Buffer BufferPool::take_now(std::uint64_t bytes) { return Buffer(*this, allocate(class_of(bytes)), false); }

}  // namespace rideau::rpc
