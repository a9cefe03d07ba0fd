// SPDX-License-Identifier: Apache-2.0
#include "chunk.hpp"

#include <new>

namespace rideau::tcp {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kFreeKept = 0;  // a sanitizer sees the use of a returned loan only in memory that is not kept
#else
constexpr std::size_t kFreeKept = 8;
#endif

void free_chunk(Chunk* chunk) noexcept { ::operator delete (chunk, std::align_val_t{alignof(Chunk)}); }

}  // namespace

ChunkPool::~ChunkPool() {
  while (free_ != nullptr) {
    Chunk* chunk = free_;
    free_ = chunk->next_free;
    free_chunk(chunk);
  }
}

Chunk* ChunkPool::take(std::size_t capacity) noexcept {
  if (capacity == 0) capacity = usual_;
  Chunk* chunk = nullptr;
  if (capacity == usual_ && free_ != nullptr) {
    chunk = free_;
    free_ = chunk->next_free;
    --free_count_;
  } else {
    void* memory = ::operator new (sizeof(Chunk) + capacity, std::align_val_t{alignof(Chunk)}, std::nothrow);
    if (memory == nullptr) return nullptr;
    chunk = new (memory) Chunk;
  }
  chunk->owner = nullptr;
  chunk->next_free = nullptr;
  chunk->capacity = capacity;
  chunk->references = 1;
  return chunk;
}

void ChunkPool::put(Chunk* chunk) noexcept {
  if (chunk->capacity != usual_ || free_count_ == kFreeKept) {
    free_chunk(chunk);
    return;
  }
  chunk->next_free = free_;
  free_ = chunk;
  ++free_count_;
}

}  // namespace rideau::tcp
