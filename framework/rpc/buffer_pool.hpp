// SPDX-License-Identifier: Apache-2.0
// Page-aligned buffers for payloads, recycled by size, bounded in sum.
#pragma once

#include "framework/runtime/sync.hpp"
#include "rideau/buffer.hpp"

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace rideau::rpc {

class BufferPool;

class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), memory_(other.memory_), charged_(other.charged_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(memory_, other.memory_);
    std::swap(charged_, other.charged_);
    return *this;
  }
  ~Buffer();
  MutableBytes memory() const noexcept { return memory_; }
  explicit operator bool() const noexcept { return pool_ != nullptr; }

 private:
  friend class BufferPool;
  Buffer(BufferPool& pool, MutableBytes memory, bool charged) noexcept
      : pool_(&pool), memory_(memory), charged_(charged) {}
  BufferPool* pool_ = nullptr;
  MutableBytes memory_{};
  bool charged_ = false;
};

class BufferPool {
 public:
  BufferPool(Runtime& runtime, std::uint64_t bytes) : credits_(runtime, bytes) {}
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  // Waits while the pool is exhausted. At most limits::kPayloadBytesMax.
  Task<Buffer> take(std::uint64_t bytes);
  // At once, beyond the bound: for what the slots of the sessions bound already.
  Buffer take_now(std::uint64_t bytes);
  std::uint64_t bytes_free() const noexcept { return credits_.free(); }

 private:
  friend class Buffer;
  static constexpr unsigned kSmallestShift = 12;
  static constexpr unsigned kClasses = 11;  // 4 KiB to 4 MiB
  static constexpr std::size_t kKeptBytesPerClass = 32u << 20;

  static unsigned class_of(std::uint64_t bytes) noexcept;
  static std::uint64_t bytes_of(unsigned index) noexcept { return 1ull << (index + kSmallestShift); }
  MutableBytes allocate(unsigned index);
  void give_back(MutableBytes memory, bool charged) noexcept;

  Credits credits_;
  std::array<std::vector<std::uint8_t*>, kClasses> free_{};
};

}  // namespace rideau::rpc
