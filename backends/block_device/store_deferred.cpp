// SPDX-License-Identifier: Apache-2.0
// Deferred writes: small ones over parts of blocks that have bytes. They change the record of the segment alone, which
// a commit carries over like any other change of it: no read, no write and no flush of the device. Later a merge writes
// all such bytes of a segment to their blocks, by the way that every write over a part of a block takes.
#include "copy_parts.hpp"
#include "store.hpp"

#include <algorithm>

namespace rideau::block_device {
namespace {

// From here on a segment is merged: its record still fits into a page of an index beside its map.
constexpr std::uint64_t kMergeBytes = kPatchBytesMax / 2;
// Of all segments together; beyond it one more is merged with each write, beyond twice of it none is deferred.
constexpr std::uint64_t kPatchedBytesMax = 4 << 20;

}  // namespace

bool BlockStore::defers(const Op& op) noexcept {
  Object& object = *op.object;
  if (op.kind != Op::Kind::write || op.size == 0 || op.size > settings_.deferred_write_max) return false;
  if (!object.exists || object.record.small_bytes != 0) return false;
  if (map_.patched_bytes() + op.size > 2 * kPatchedBytesMax) return false;
  for (std::uint64_t index = op.first; index <= op.last; ++index) {
    Segment* segment = nullptr;
    if (!map_.segment(object, index / kSegmentBlocks, &segment).ok()) return false;
    const std::uint64_t at = index % kSegmentBlocks;
    if (at >= segment->blocks.size() || segment->blocks[at].state != Block::State::data) return false;
    if (segment->patches.bytes() + op.size > kPatchBytesMax) return false;
  }
  return true;
}

void BlockStore::defer(Op& op) noexcept {
  Object& object = *op.object;
  switch (room_for({.records = 3, .small_bytes = op.size})) {
    case Room::yes:
      break;
    case Room::wait:
      return wait_for_space(op);
    case Room::no:
      return finish(op, {Code::no_space, 0, "the index of the block device is full"}, 0);
  }
  copy_parts(op.parts, op.memory, op.size, false);
  host_.count(Tally::copied_bytes, op.size);
  const std::uint64_t end = op.offset + op.size;
  for (std::uint64_t at = op.offset; at < end;) {
    const std::uint64_t index = at / kBlockBytes;
    const std::uint64_t count = std::min(end, (index + 1) * kBlockBytes) - at;
    const auto* bytes = reinterpret_cast<const char*>(op.memory) + (at - op.offset);
    map_.put_patch(object, index, at % kBlockBytes, {bytes, count});
    map_.mark(object, index / kSegmentBlocks);
    at += count;
  }
  if (end > object.record.size) {
    object.record.size = end;
    map_.mark(object);
  }
  for (std::uint64_t number = op.first / kSegmentBlocks; number <= op.last / kSegmentBlocks; ++number) {
    if (object.segments.at(number).patches.bytes() > kMergeBytes) merge(object, number);
  }
  if (map_.patched_bytes() > kPatchedBytesMax) merge_some(1);
  note_change();
  finish(op, kOk, op.size);
}

// Begins when everything before it on these blocks has ended, as any op.
void BlockStore::merge(Object& object, std::uint64_t number) noexcept {
  Segment& segment = object.segments.at(number);
  if (segment.merging || life_ != Life::running) return;
  segment.merging = true;
  Op& op = take_op();
  op.kind = Op::Kind::merge;
  op.stage = Op::Stage::waiting;
  op.object = &object;
  op.first = number * kSegmentBlocks;
  op.last = op.first + kSegmentBlocks - 1;
  object.ops.push_back(&op);
  admit(object);
}

void BlockStore::merge_some(std::size_t count) noexcept {
  for (count = std::min(count, map_.patched_segments()); count != 0; --count) {
    ObjectId id;
    std::uint64_t number = 0;
    Object* object = nullptr;
    Segment* segment = nullptr;
    if (!map_.next_patched(&id, &number) || !map_.find(id, &object).ok()) continue;
    const bool found = map_.segment(*object, number, &segment).ok();
    if (found && !segment->patches.empty()) merge(*object, number);
    if (found) map_.note_patched(id, number, segment->patches.bytes());
    map_.release(*object);
  }
}

Status BlockStore::plan_merge(Op& op) noexcept {
  Segment* segment = nullptr;
  const std::uint64_t number = op.first / kSegmentBlocks;
  if (const Status status = map_.segment(*op.object, number, &segment); !status.ok()) return status;
  for (const auto& [at, patches] : segment->patches.blocks()) {
    if (const Status status = add_item(op, op.first + at, true); !status.ok()) return status;
  }
  return kOk;
}

// A rotten block below such bytes stays as it is, and they where they are; nobody tries again while it is in memory.
void BlockStore::merge_ended(Op& op, Status status) noexcept {
  const auto segment = op.object->segments.find(op.first / kSegmentBlocks);
  if (segment != op.object->segments.end()) segment->second.merging = status.code == Code::corrupt;
}

void BlockStore::apply_patches(Op& op, std::uint64_t index, std::uint8_t* bytes) noexcept {
  const auto segment = op.object->segments.find(index / kSegmentBlocks);
  if (segment == op.object->segments.end()) return;
  segment->second.patches.apply(static_cast<std::uint16_t>(index % kSegmentBlocks), bytes);
}

}  // namespace rideau::block_device
