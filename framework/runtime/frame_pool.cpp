// SPDX-License-Identifier: Apache-2.0
// Free lists of coroutine frames, one for each multiple of 64 bytes up to 4 KiB, for each thread.
#include "framework/base/watched_memory.hpp"
#include "framework/runtime/task.hpp"

#include <array>
#include <cstddef>
#include <new>

namespace rideau {
namespace {

constexpr std::size_t kStep = 64;
constexpr std::size_t kClasses = 64;
constexpr std::size_t kKeptPerClass = 1024;

struct FreeFrame {
  FreeFrame* next;
};

struct FrameClass {
  FreeFrame* first = nullptr;
  std::size_t count = 0;
};

struct FramePool {
  std::array<FrameClass, kClasses> classes{};
  FrameCounts counts{};
  ~FramePool() {
    for (FrameClass& frames : classes) {
      while (frames.first != nullptr) {
        FreeFrame* frame = frames.first;
        frames.first = frame->next;
        ::operator delete(frame);
      }
    }
  }
};

thread_local FramePool pool;

std::size_t class_of(std::size_t bytes) { return (bytes + kStep - 1) / kStep - 1; }

}  // namespace

void* allocate_frame(std::size_t bytes) {
  const std::size_t index = class_of(bytes);
  ++pool.counts.taken;
  if (index >= kClasses || pool.classes[index].first == nullptr) {
    ++pool.counts.allocated;
    return ::operator new(index >= kClasses ? bytes : (index + 1) * kStep);
  }
  FrameClass& frames = pool.classes[index];
  FreeFrame* frame = frames.first;
  frames.first = frame->next;
  --frames.count;
  return frame;
}

FrameCounts frame_counts() noexcept { return pool.counts; }

void free_frame(void* memory, std::size_t bytes) noexcept {
  const std::size_t index = class_of(bytes);
  if (index < kClasses) {
    FrameClass& frames = pool.classes[index];
    if (!kMemoryIsWatched && frames.count < kKeptPerClass) {
      auto* frame = static_cast<FreeFrame*>(memory);
      frame->next = frames.first;
      frames.first = frame;
      ++frames.count;
      return;
    }
  }
  ::operator delete(memory);
}

}  // namespace rideau
