// SPDX-License-Identifier: Apache-2.0
// Receive memory. A chunk is read into in large pieces; the frames in it are parsed where they lie, and each loan of a
// head holds a reference. The pool keeps a few chunks of the usual size; the sum of a link's chunks is accounted to it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rideau::tcp {

class TcpLink;

// The bytes follow the header, aligned to 64.
struct alignas(64) Chunk {
  TcpLink* owner = nullptr;  // whose budget it counts against
  Chunk* next_free = nullptr;
  std::size_t capacity = 0;
  std::uint32_t references = 0;

  std::uint8_t* data() noexcept { return reinterpret_cast<std::uint8_t*>(this + 1); }
};

class ChunkPool {
 public:
  explicit ChunkPool(std::size_t usual_capacity) noexcept : usual_(usual_capacity) {}
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();

  // With one reference; null when there is no memory. `capacity` 0: the usual one.
  Chunk* take(std::size_t capacity) noexcept;
  void put(Chunk* chunk) noexcept;
  std::size_t usual_capacity() const noexcept { return usual_; }

 private:
  std::size_t usual_;
  Chunk* free_ = nullptr;
  std::size_t free_count_ = 0;
};

}  // namespace rideau::tcp
