// SPDX-License-Identifier: Apache-2.0
// Changes of small objects, whose bytes are in their record in the index, and how one gets blocks.
//
// The blocks that a small object would need are held for it, so that moving it out never meets a full device, and a
// byte takes the same space wherever it is.
#include "copy_parts.hpp"
#include "store.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::block_device {

// Whether the op leaves every byte of the object in the index. An object without blocks becomes small only when nobody
// else is writing blocks of it.
bool BlockStore::stays_small(const Op& op) const noexcept {
  const Object& object = *op.object;
  const std::uint64_t old = object.record.small_bytes;
  if (object.damaged || op.kind == Op::Kind::merge) return false;
  if (op.kind != Op::Kind::write || op.size == 0) return old != 0 && op.kind != Op::Kind::allocate;
  const std::uint64_t end = op.offset + op.size;
  if (end > settings_.small_object_max) return false;
  if (old != 0 && end <= old) return true;
  const auto writes = [&op](const Op* other) {
    return other != &op && other->stage == Op::Stage::working && other->changes();
  };
  if (old == 0 && object.record.blocks != 0) return false;
  if (old == 0 && std::any_of(object.ops.begin(), object.ops.end(), writes)) return false;
  // The last quarter of the index is for the map: bytes have another place.
  return index_bytes(1, end) <= index_room_ - std::min(index_room_, index_total_ / 4);
}

void BlockStore::change_small(Op& op) noexcept {
  Object& object = *op.object;
  const std::uint64_t old = object.record.small_bytes;
  const std::uint64_t end = op.offset + op.size;
  std::uint64_t size = old;
  if (op.kind == Op::Kind::remove) size = 0;
  if (op.kind == Op::Kind::truncate) size = std::min(old, op.size);
  if (op.kind == Op::Kind::punch && op.size != 0 && end >= old) size = std::min(old, op.offset);
  if (op.kind == Op::Kind::write && op.size != 0) size = std::max(old, end);
  const bool writes = op.kind == Op::Kind::write;
  Room room = room_for({.fresh = blocks_for(size) - std::min(blocks_for(size), blocks_for(old)),
                        .records = writes ? 1u : 0u,
                        .small_bytes = writes ? size : 0});
  const bool crowded = map_.bytes_held() > kHeldBytesMax && (commit_ != nullptr || !map_.clean());
  if (room == Room::yes && crowded) room = Room::wait;
  if (room == Room::wait) return wait_for_space(op);
  if (room == Room::no) return finish(op, {Code::no_space, 0, "the block device is full"}, 0);
  std::string bytes;
  const bool covers = writes && op.offset == 0 && end >= old;
  if (old != 0 && size != 0 && !covers) op.status = map_.take_bytes(object, &bytes);
  if (!op.status.ok()) {
    log(Level::error, object_name(object.id) + ": its record in the index is damaged");
    return finish(op, op.status, 0);
  }
  bytes.resize(size, '\0');
  if (op.kind == Op::Kind::punch && op.offset < size) {
    std::memset(bytes.data() + op.offset, 0, std::min(end, size) - op.offset);
  }
  if (writes && op.size != 0) {
    copy_parts(op.parts, reinterpret_cast<std::uint8_t*>(bytes.data()) + op.offset, op.size, false);
    host_.count(Tally::copied_bytes, op.size);
    object.record.size = std::max(object.record.size, end);
  }
  if (op.kind == Op::Kind::truncate) object.record.size = op.size;
  // What a crash between two portions of a commit left may be in the way.
  if (old == 0 && object.exists) clear_blocks(object, 0, kObjectBytesMax / kBlockBytes);
  small_blocks_ += blocks_for(size);
  small_blocks_ -= blocks_for(old);
  if (size != 0) map_.put_bytes(object, std::move(bytes));
  if (size == 0) map_.drop_bytes(object);
  if (op.kind == Op::Kind::remove) {
    object.record = {};
    drop_window(object);
    --object_count_;
  } else if (!object.exists) {
    ++object_count_;
  }
  object.exists = op.kind != Op::Kind::remove;
  map_.mark(object);
  note_change();
  finish(op, kOk, writes ? op.size : 0);
}

// Plans that the bytes of a small object are written to blocks with what else the op writes. They stay in the index
// until the commit that names the blocks.
Status BlockStore::move_out(Op& op) noexcept {
  Object& object = *op.object;
  std::string bytes;
  if (const Status status = map_.take_bytes(object, &bytes); !status.ok()) {
    log(Level::error, object_name(object.id) + ": its record in the index is damaged");
    return status;
  }
  const std::uint64_t count = blocks_for(bytes.size());
  map_.put_bytes(object, std::move(bytes));
  for (std::uint64_t index = 0; index < count; ++index) {
    if (const Status status = add_item(op, index, false); !status.ok()) return status;
    op.items.back().from_small = true;
  }
  return kOk;
}

// Of one that is damaged: they are gone.
void BlockStore::moved_out(Object& object) noexcept {
  small_blocks_ -= blocks_for(object.record.small_bytes);
  map_.drop_bytes(object);
}

// It begins again when the op that moves the object has ended.
void BlockStore::put_back(Op& op) noexcept {
  op.stage = Op::Stage::waiting;
  --active_;
  free_slots_.push_back(op.memory);
  op.memory = nullptr;
}

}  // namespace rideau::block_device
