// SPDX-License-Identifier: Apache-2.0
#include "send_queue.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::tcp {
namespace {

alignas(64) constexpr std::uint8_t kZeros[64 << 10] = {};

// Collects the pieces of a frame behind what was written of it already.
class Pieces {
 public:
  Pieces(IoVec* out, std::uint32_t capacity, std::uint64_t skip) noexcept
      : out_(out), capacity_(capacity), skip_(skip) {}

  void bytes(const void* data, std::uint64_t size) noexcept {
    if (!enter(size)) return;
    put(static_cast<const std::uint8_t*>(data) + skip_, size - skip_);
    skip_ = 0;
  }
  void parts(PartCursor from, std::uint64_t size) noexcept {
    if (!enter(size)) return;
    from.skip(skip_);
    std::uint64_t described = 0;
    count_ += from.describe(out_ + count_, capacity_ - count_, size - skip_, &described);
    covered_ += described;
    full_ = described < size - skip_;
    skip_ = 0;
  }
  void zeros(std::uint64_t size) noexcept {
    if (!enter(size)) return;
    for (std::uint64_t left = size - skip_; left > 0 && !full_;) {
      const std::uint64_t take = std::min<std::uint64_t>(left, sizeof kZeros);
      put(kZeros, take);
      left -= take;
    }
    skip_ = 0;
  }
  std::uint32_t count() const noexcept { return count_; }
  std::uint64_t covered() const noexcept { return covered_; }
  bool full() const noexcept { return full_; }

 private:
  // True when something of a piece of this size is still to be written, with skip_ then inside of it.
  bool enter(std::uint64_t size) noexcept {
    if (full_) return false;
    if (skip_ >= size) {
      skip_ -= size;
      return false;
    }
    return true;
  }
  void put(const std::uint8_t* data, std::uint64_t size) noexcept {
    if (count_ == capacity_) {
      full_ = true;
      return;
    }
    out_[count_++] = {const_cast<std::uint8_t*>(data), size};
    covered_ += size;
  }

  IoVec* out_;
  std::uint32_t capacity_;
  std::uint64_t skip_;
  std::uint32_t count_ = 0;
  std::uint64_t covered_ = 0;
  bool full_ = false;
};

void collect(const LentFrame& frame, Pieces& pieces) noexcept {
  const std::uint64_t head = frame.header.head_bytes;
  const std::uint64_t body = frame.header.body_bytes;
  pieces.bytes(&frame.header, sizeof frame.header);
  if (frame.has_bulk) {
    pieces.bytes(&frame.bulk, head);
  } else {
    pieces.parts(frame.head, head);
  }
  pieces.zeros(padded(head) - head);
  if (frame.zeros) {
    pieces.zeros(body);
  } else {
    pieces.parts(frame.body, body);
  }
  pieces.zeros(padded(body) - body);
  if (frame.has_trailer) pieces.bytes(&frame.trailer, sizeof frame.trailer);
}

std::uint8_t* append_parts(std::uint8_t* to, const IoVec* parts, std::uint32_t count, std::uint64_t size) noexcept {
  std::uint64_t left = size;
  for (std::uint32_t i = 0; i < count && left > 0; ++i) {
    if (parts[i].size == 0) continue;
    std::memcpy(to, parts[i].base, parts[i].size);
    to += parts[i].size;
    left -= parts[i].size;
  }
  const std::uint64_t padding = padded(size) - size;
  std::memset(to, 0, padding);
  return to + padding;
}

}  // namespace

SendQueue::~SendQueue() {
  while (LentFrame* frame = pop_frame()) delete frame;
  delete spare_;
}

void SendQueue::append(QueueEntry& entry) noexcept {
  entry.next = nullptr;
  (last_ != nullptr ? last_->next : first_) = &entry;
  last_ = &entry;
}

void SendQueue::drop_first() noexcept {
  first_ = first_->next;
  if (first_ == nullptr) last_ = nullptr;
}

void SendQueue::put_block(Block* block) noexcept {
  if (spare_ == nullptr) {
    spare_ = block;
  } else {
    delete block;
  }
}

void SendQueue::copy(const FrameHeader& header, const IoVec* head, std::uint32_t head_parts, const IoVec* body,
                     std::uint32_t body_parts, std::uint64_t size) {
  Block* block = last_ != nullptr && last_->is_block ? static_cast<Block*>(last_) : nullptr;
  if (block == nullptr || kBlockBytes - block->end < size) {
    block = spare_ != nullptr ? spare_ : new Block;
    spare_ = nullptr;
    block->is_block = true;
    block->begin = 0;
    block->end = 0;
    append(*block);
  }
  std::uint8_t* to = block->bytes + block->end;
  std::memcpy(to, &header, sizeof header);
  to = append_parts(to + sizeof header, head, head_parts, header.head_bytes);
  append_parts(to, body, body_parts, header.body_bytes);
  block->end += static_cast<std::uint32_t>(size);
  copied_bytes_ += size;
}

void SendQueue::push(LentFrame& frame) noexcept {
  frame.is_block = false;
  frame.written = 0;
  frame.total = sizeof(FrameHeader) + padded(frame.header.head_bytes) + padded(frame.header.body_bytes);
  if (frame.has_trailer) frame.total += sizeof(AnswerTrailer);
  append(frame);
  ++frame_count_;
}

bool SendQueue::remove(LentFrame& frame) noexcept {
  if (frame.written > 0) return false;
  QueueEntry* before = nullptr;
  for (QueueEntry* at = first_; at != nullptr; before = at, at = at->next) {
    if (at != &frame) continue;
    (before != nullptr ? before->next : first_) = frame.next;
    if (last_ == &frame) last_ = before;
    --frame_count_;
    return true;
  }
  return false;
}

LentFrame* SendQueue::pop_frame() noexcept {
  while (first_ != nullptr) {
    QueueEntry* entry = first_;
    drop_first();
    if (!entry->is_block) {
      --frame_count_;
      return static_cast<LentFrame*>(entry);
    }
    auto* block = static_cast<Block*>(entry);
    copied_bytes_ -= block->end - block->begin;
    put_block(block);
  }
  return nullptr;
}

std::uint32_t SendQueue::gather(IoVec* out, std::uint32_t capacity, std::uint64_t* described) const noexcept {
  std::uint32_t count = 0;
  std::uint64_t covered = 0;
  for (const QueueEntry* entry = first_; entry != nullptr && count < capacity; entry = entry->next) {
    if (entry->is_block) {
      const auto* block = static_cast<const Block*>(entry);
      out[count++] = {const_cast<std::uint8_t*>(block->bytes) + block->begin, block->end - block->begin};
      covered += block->end - block->begin;
      continue;
    }
    const auto* frame = static_cast<const LentFrame*>(entry);
    Pieces pieces(out + count, capacity - count, frame->written);
    collect(*frame, pieces);
    count += pieces.count();
    covered += pieces.covered();
    if (pieces.full()) break;
  }
  *described = covered;
  return count;
}

void SendQueue::consume(std::uint64_t bytes, FrameWritten& written) noexcept {
  while (bytes > 0 && first_ != nullptr) {
    if (first_->is_block) {
      auto* block = static_cast<Block*>(first_);
      const auto take = static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, block->end - block->begin));
      block->begin += take;
      copied_bytes_ -= take;
      bytes -= take;
      if (block->begin < block->end) return;
      drop_first();
      put_block(block);
      continue;
    }
    auto* frame = static_cast<LentFrame*>(first_);
    const std::uint64_t take = std::min(bytes, frame->total - frame->written);
    frame->written += take;
    bytes -= take;
    if (frame->written < frame->total) return;
    drop_first();
    --frame_count_;
    written.on_written(*frame);
  }
}

}  // namespace rideau::tcp
