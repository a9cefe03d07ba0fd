// SPDX-License-Identifier: Apache-2.0
// The memory of blocks of file data: made once, used again, shared by the cache, the requests that carry it and those
// who fill it.
#pragma once

#include "framework/runtime/lendable_memory.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace rideau::client {

constexpr std::uint32_t kBlockBytes = 64 * 1024;  // divides every stripe size: a block lies in one object
constexpr std::uint32_t kBufferBytesMin = 4 * 1024;
constexpr std::uint32_t kPageBytes = 4 * 1024;

// Outlives the cache through the buffers in flight.
struct BufferPool {
  // Buffers of full size, those which requests lend, come from `memory` where it is not null and has some.
  BufferPool(std::uint64_t bytes_max_in, LendableMemory* memory) : bytes_max(bytes_max_in), lendable(memory) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  std::uint64_t bytes = 0;  // of the buffers that count
  std::uint64_t bytes_max;  // up to here, together with those in use, all buffers of full size are kept for reuse
  LendableMemory* lendable;
  std::vector<std::uint8_t*> spare;
  std::size_t spare_least = 0;  // there were never fewer since it was last set: so many were not needed

  std::uint8_t* allocate(std::uint32_t capacity);
  void release(std::uint8_t* bytes, std::uint32_t capacity) noexcept;
};

// Shared by a block and the requests that are sending it: who writes into a shared one copies it first. Buffers of full
// size lie on pages of their own, so that the kernel moves whole pages into and out of them. A smaller one holds a part
// of a block: a page that is read alone takes no more memory than it has bytes.
class Buffer {
 public:
  // The bytes of a block from `begin` on. `counts`: against the size of the cache, from now on; otherwise from count()
  // on.
  Buffer(std::shared_ptr<BufferPool> pool, std::uint32_t begin, std::uint32_t capacity, bool counts);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  // Of the block; within the buffer.
  std::uint8_t* at(std::uint32_t offset) const noexcept { return bytes_ + (offset - begin_); }
  bool covers(std::uint32_t begin, std::uint32_t end) const noexcept {
    return begin_ <= begin && end <= begin_ + capacity_;
  }
  void count() noexcept;

 private:
  std::shared_ptr<BufferPool> pool_;
  std::uint32_t begin_;
  std::uint32_t capacity_;
  bool counts_ = false;
  std::uint8_t* bytes_;
};

using Buffers = std::vector<std::shared_ptr<Buffer>>;

}  // namespace rideau::client
