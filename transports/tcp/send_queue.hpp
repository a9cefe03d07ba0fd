// SPDX-License-Identifier: Apache-2.0
// The frames of one link that wait to be written, in order. Small frames are copied into blocks that take many; others
// keep the caller's parts, lent, and are gathered from there. Knows nothing of sockets.
#pragma once

#include "callback.hpp"
#include "frame.hpp"
#include "limits.hpp"
#include "parts.hpp"

#include <cstdint>

namespace rideau::tcp {

class TcpLink;
class TcpRegion;

struct QueueEntry {
  QueueEntry* next = nullptr;
  bool is_block = false;
};

struct Block : QueueEntry {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  alignas(8) std::uint8_t bytes[kBlockBytes];
};

// The end of the answer to a pull, sent together with its last piece.
struct AnswerTrailer {
  FrameHeader header{};
  PullEnd end{};
};
static_assert(sizeof(AnswerTrailer) == 40);

// One frame with parts that are lent, or one piece of the answer to a pull.
struct LentFrame final : QueueEntry, Pending {
  void cancel() noexcept override;

  TcpLink* link = nullptr;
  FrameHeader header{};
  BulkHead bulk{};  // the head of a push
  bool has_bulk = false;
  PartCursor head{};
  PartCursor body{};
  bool zeros = false;       // the body's memory is gone: zeros go out in its place
  std::uint64_t total = 0;  // of header, head, body and padding
  std::uint64_t written = 0;
  Completion* done = nullptr;
  std::uint64_t value = 0;
  // Of an answer: what it reads from (null: reclaimed), and how much follows after this frame.
  bool is_answer = false;
  bool has_trailer = false;
  AnswerTrailer trailer{};
  IoVec refusal{};  // the head of an answer that has no bytes
  TcpRegion* region = nullptr;
  std::uint64_t answer_offset = 0;
  std::uint64_t answer_left = 0;
};

// Who hears that a frame was written whole. The frame is out of the queue then.
class FrameWritten {
 public:
  virtual void on_written(LentFrame& frame) noexcept = 0;

 protected:
  ~FrameWritten() = default;
};

class SendQueue {
 public:
  SendQueue() = default;
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;
  ~SendQueue();

  bool empty() const noexcept { return first_ == nullptr; }
  std::uint64_t copied_bytes() const noexcept { return copied_bytes_; }
  std::uint32_t frame_count() const noexcept { return frame_count_; }
  QueueEntry* first() const noexcept { return first_; }

  // Copies a whole frame; `size` is its padded total, at most kCopyBytesMax.
  void copy(const FrameHeader& header, const IoVec* head, std::uint32_t head_parts, const IoVec* body,
            std::uint32_t body_parts, std::uint64_t size);
  void push(LentFrame& frame) noexcept;
  bool remove(LentFrame& frame) noexcept;  // false when a part of it was written
  LentFrame* pop_frame() noexcept;         // drops blocks on the way; null at the end

  std::uint32_t gather(IoVec* out, std::uint32_t capacity, std::uint64_t* described) const noexcept;
  void consume(std::uint64_t bytes, FrameWritten& written) noexcept;

 private:
  void append(QueueEntry& entry) noexcept;
  void drop_first() noexcept;
  void put_block(Block* block) noexcept;

  QueueEntry* first_ = nullptr;
  QueueEntry* last_ = nullptr;
  Block* spare_ = nullptr;
  std::uint64_t copied_bytes_ = 0;
  std::uint32_t frame_count_ = 0;
};

}  // namespace rideau::tcp
