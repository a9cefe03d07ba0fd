// SPDX-License-Identifier: Apache-2.0
// Reads, and everything that writes blocks: write, the parts of blocks that truncate and punch make zero, and small
// objects that are moved out.
#include "copy_parts.hpp"
#include "store.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::block_device {
namespace {

std::string block_name(const Op& op, const Item& item) {
  return object_name(op.object->id) + ", offset " + std::to_string(item.index * kBlockBytes) + ", block " +
         std::to_string(item.before.place);
}

Block block_at(const Segment& segment, std::uint64_t index) noexcept {
  const std::uint64_t at = index % kSegmentBlocks;
  return at < segment.blocks.size() ? segment.blocks[at] : Block{};
}

}  // namespace

// Requests of the op that were prepared; `next` when all have ended, at once when there are none.
void BlockStore::send(Op& op, void (BlockStore::*next)(Op&) noexcept) noexcept {
  op.next = next;
  op.outstanding = static_cast<std::uint32_t>(op.requests.size());
  if (op.outstanding == 0) return (this->*next)(op);
  for (Request& request : op.requests) {
    request.owner = &op;
    request.done = [](Request& ended) noexcept {
      Op& own = *static_cast<Op*>(ended.owner);
      own.store->request_done(own, ended.status);
    };
    device_->submit(request);
  }
  // While ops are dispatched the device is told once for all of them.
  if (!working_) device_->work();
}

void BlockStore::request_done(Op& op, Status status) noexcept {
  if (!status.ok() && op.status.ok()) op.status = status;
  if (--op.outstanding == 0) (this->*op.next)(op);
}

namespace {

// Places side by side, whose memory is side by side too, become one request.
void add_request(Op& op, Request::Kind kind, std::uint64_t place, std::size_t slot_block) {
  std::uint8_t* memory = op.memory + slot_block * kBlockBytes;
  if (!op.requests.empty()) {
    Request& before = op.requests.back();
    if (before.offset + before.size == place * kBlockBytes && before.memory + before.size == memory) {
      before.size += kBlockBytes;
      return;
    }
  }
  Request& request = op.requests.emplace_back();
  request.kind = kind;
  request.offset = place * kBlockBytes;
  request.size = kBlockBytes;
  request.memory = memory;
}

}  // namespace

void BlockStore::start_read(Op& op) noexcept {
  const std::uint64_t size = op.object->record.size;
  op.size = op.offset < size ? std::min(op.size, size - op.offset) : 0;
  if (op.size == 0) return finish(op, kOk, 0);
  if (op.object->record.small_bytes != 0) {
    op.status = map_.read_bytes(*op.object, op.offset, op.size, op.memory + op.offset % kBlockBytes);
    if (!op.status.ok()) log(Level::error, object_name(op.object->id) + ": its record in the index is damaged");
    return end_read(op);
  }
  const std::uint64_t first = op.offset / kBlockBytes;
  const std::uint64_t last = (op.offset + op.size - 1) / kBlockBytes;
  Segment* segment = nullptr;
  for (std::uint64_t index = first; index <= last; ++index) {
    if (segment == nullptr || index % kSegmentBlocks == 0) {
      const Status status = map_.segment(*op.object, index / kSegmentBlocks, &segment);
      if (!status.ok()) {
        log(Level::error, "the map of an object cannot be read: " + block_name(op, {.index = index}));
        return finish(op, status, 0);
      }
    }
    const Block block = block_at(*segment, index);
    op.items.push_back({.index = index, .before = block});
    const std::size_t at = index - first;
    if (block.state == Block::State::data) {
      add_request(op, Request::Kind::read, block.place, at);
    } else {
      std::memset(op.memory + at * kBlockBytes, 0, kBlockBytes);
    }
  }
  send(op, &BlockStore::end_read);
}

void BlockStore::end_read(Op& op) noexcept {
  for (std::size_t i = 0; i < op.items.size() && op.status.ok(); ++i) {
    op.status = verify(op, op.items[i], op.memory + i * kBlockBytes);
    apply_patches(op, op.items[i].index, op.memory + i * kBlockBytes);
  }
  if (!op.status.ok()) return finish(op, op.status, 0);
  copy_parts(op.parts, op.memory + op.offset % kBlockBytes, op.size, true);
  host_.count(Tally::copied_bytes, op.size);
  finish(op, kOk, op.size);
}

Status BlockStore::verify(Op& op, const Item& item, const std::uint8_t* bytes) noexcept {
  if (item.before.state != Block::State::data || crc32c(bytes, kBlockBytes) == item.before.sum) return kOk;
  log(Level::error, "wrong checksum: " + block_name(op, item) + " of " + device_->name() +
                        "; the bytes are not given to anybody, restore the file from a copy");
  return {Code::corrupt, 0, "the checksum of a block is wrong"};
}

// One block that the op will write; what of it stays is read before.
Status BlockStore::add_item(Op& op, std::uint64_t index, bool partial) noexcept {
  Segment* segment = nullptr;
  if (const Status status = map_.segment(*op.object, index / kSegmentBlocks, &segment); !status.ok()) {
    log(Level::error, "the map of an object cannot be read: " + block_name(op, {.index = index}));
    return status;
  }
  const Block block = block_at(*segment, index);
  op.items.push_back({.index = index, .before = block, .reads_before = partial && block.state == Block::State::data});
  return kOk;
}

Status BlockStore::plan_write(Op& op) noexcept {
  if (op.size == 0) return kOk;
  const std::uint64_t end = op.offset + op.size;
  for (std::uint64_t index = std::max(op.first, op.items.size()); index <= op.last; ++index) {
    const bool partial = index * kBlockBytes < op.offset || (index + 1) * kBlockBytes > end;
    if (const Status status = add_item(op, index, partial); !status.ok()) return status;
  }
  return kOk;
}

// Blocks of which a part becomes zero: at the new end, or at both ends of a hole.
Status BlockStore::plan_edges(Op& op) noexcept {
  const bool truncates = op.kind == Op::Kind::truncate;
  const std::uint64_t begin = truncates ? op.size : op.offset;
  const std::uint64_t end = truncates ? kObjectBytesMax : op.offset + op.size;
  if (begin >= end || (truncates && op.size >= op.object->record.size)) return kOk;
  std::uint64_t edges[2] = {begin / kBlockBytes, end / kBlockBytes};
  const bool partial[2] = {begin % kBlockBytes != 0, end % kBlockBytes != 0};
  for (int i = 0; i < 2; ++i) {
    if (!partial[i] || (i == 1 && partial[0] && edges[0] == edges[1])) continue;
    if (const Status status = add_item(op, edges[i], true); !status.ok()) return status;
    if (!op.items.back().reads_before) op.items.pop_back();  // it reads as zero already
  }
  return kOk;
}

void BlockStore::start_change(Op& op) noexcept {
  op.items.clear();
  op.requests.clear();
  if (op.object->moving) return put_back(op);
  if (stays_small(op)) return change_small(op);
  if (defers(op)) return defer(op);
  Status planned{};
  if (op.kind == Op::Kind::merge) planned = plan_merge(op);
  if (op.object->record.small_bytes != 0 && !op.object->damaged) planned = move_out(op);
  if (planned.ok() && op.kind == Op::Kind::write) planned = plan_write(op);
  if (planned.ok() && zeroes(op)) planned = plan_edges(op);
  if (!planned.ok()) return finish(op, planned, 0);
  Need need;
  for (const Item& item : op.items) {
    if (item.before.state == Block::State::none) ++need.fresh;
    if (item.before.state == Block::State::data) ++need.replaced;
    if (item.from_small) ++need.owed;
  }
  const bool moves = need.owed != 0;
  // Cuts and removals give space back, so a full index does not keep them from being done.
  const bool grows = !op.object->exists || moves;
  if (op.kind == Op::Kind::write) {
    need.records = (op.last - std::min(op.first, op.last)) / kSegmentBlocks + 2 + (moves ? 1 : 0);
  } else if (grows) {
    need.records = moves ? 2 : 1;
  }
  switch (room_for(need)) {
    case Room::yes:
      break;
    case Room::wait:
      return wait_for_space(op);
    case Room::no:
      return finish(op, {Code::no_space, 0, "the block device is full"}, 0);
  }
  op.object->moving = moves;
  if (need.fresh + need.replaced != 0) {
    std::vector<Run> runs;
    const std::uint64_t next_index = op.object->next_index;
    take_blocks(*op.object, need.fresh + need.replaced, op.items.front().index, runs);
    if (op.kind == Op::Kind::merge) op.object->next_index = next_index;  // its writers go on where they were
    auto run = runs.begin();
    for (Item& item : op.items) {
      if (item.before.state == Block::State::kept) continue;
      item.place = run->place++;
      if (--run->count == 0) ++run;
    }
  }
  for (Item& item : op.items) {
    if (item.before.state == Block::State::kept) item.place = item.before.place;  // no map says that it has bytes
  }
  read_before(op);
}

void BlockStore::read_before(Op& op) noexcept {
  for (std::size_t i = 0; i < op.items.size(); ++i) {
    if (op.items[i].reads_before) add_request(op, Request::Kind::read, op.items[i].before.place, i);
  }
  send(op, &BlockStore::fill_and_write);
}

void BlockStore::fill_and_write(Op& op) noexcept {
  op.requests.clear();
  const std::uint64_t begin = op.kind == Op::Kind::truncate ? op.size : op.offset;
  const std::uint64_t end = op.kind == Op::Kind::truncate ? kObjectBytesMax : op.offset + op.size;
  std::uint8_t* written = op.memory;  // where the first block of a write is
  for (std::size_t i = 0; i < op.items.size() && op.status.ok(); ++i) {
    const Item& item = op.items[i];
    std::uint8_t* bytes = op.memory + i * kBlockBytes;
    if (item.index < op.first) written = bytes + kBlockBytes;
    if (item.reads_before) {
      op.status = verify(op, item, bytes);
      apply_patches(op, item.index, bytes);
    } else if (item.from_small) {
      op.status = map_.read_bytes(*op.object, item.index * kBlockBytes, kBlockBytes, bytes);
    } else if (item.index * kBlockBytes < begin || (item.index + 1) * kBlockBytes > end) {
      std::memset(bytes, 0, kBlockBytes);
    }
    if (!zeroes(op)) continue;
    const std::uint64_t from = std::max(begin, item.index * kBlockBytes) - item.index * kBlockBytes;
    const std::uint64_t to = std::min(end, (item.index + 1) * kBlockBytes) - item.index * kBlockBytes;
    std::memset(bytes + from, 0, to - from);
  }
  if (!op.status.ok()) return end_change(op);
  if (op.kind == Op::Kind::write && op.size != 0) {
    copy_parts(op.parts, written + op.offset % kBlockBytes, op.size, false);
    host_.count(Tally::copied_bytes, op.size);
  }
  // Now, while they are in the processor's cache.
  for (std::size_t i = 0; i < op.items.size(); ++i) {
    op.items[i].sum = crc32c(op.memory + i * kBlockBytes, kBlockBytes);
    add_request(op, Request::Kind::write, op.items[i].place, i);
  }
  send(op, &BlockStore::end_change);
}

// What was written becomes what is read.
void BlockStore::end_change(Op& op) noexcept {
  Object& object = *op.object;
  const bool moved = object.moving;
  object.moving = false;
  if (!op.items.empty()) written_ = true;
  if (!op.status.ok()) {
    // Places that were taken for this were never in a map.
    for (const Item& item : op.items) {
      if (item.before.state != Block::State::kept) free_.add({item.place, 1});
    }
    return finish(op, op.status, 0);
  }
  const ObjectRecord before = object.record;
  if (moved) moved_out(object);
  for (const Item& item : op.items) set_block(object, item.index, {item.place, item.sum, Block::State::data, true});
  if (op.kind == Op::Kind::allocate) return allocate_range(op);  // it was moved out for this
  const bool existed = object.exists;
  const bool was_damaged = object.damaged;
  const std::uint64_t old_size = object.record.size;
  if (object.damaged) moved_out(object);
  object.exists = op.kind != Op::Kind::remove;
  if (object.exists && !existed) ++object_count_;
  if (!object.exists && existed) --object_count_;
  switch (op.kind) {
    case Op::Kind::write:
      if (op.size != 0) object.record.size = std::max(old_size, op.offset + op.size);
      break;
    case Op::Kind::truncate:
      if (op.size < old_size || object.record.blocks != 0 || object.damaged) {
        clear_blocks(object, (op.size + kBlockBytes - 1) / kBlockBytes, kObjectBytesMax / kBlockBytes);
      }
      object.record.size = op.size;
      break;
    case Op::Kind::punch: {
      const std::uint64_t first = (op.offset + kBlockBytes - 1) / kBlockBytes;
      // The last block goes whole when nothing of the object is behind the hole.
      std::uint64_t end = (op.offset + op.size) / kBlockBytes;
      if (op.offset + op.size >= old_size) end = (op.offset + op.size + kBlockBytes - 1) / kBlockBytes;
      if (op.size != 0 && first < end) clear_blocks(object, first, end - 1);
      break;
    }
    case Op::Kind::remove:
      clear_blocks(object, 0, kObjectBytesMax / kBlockBytes);
      object.record = {};
      drop_window(object);
      break;
    case Op::Kind::read:
    case Op::Kind::allocate:
    case Op::Kind::merge:
      break;
  }
  object.damaged = false;
  // Overwriting changes segments alone: there is no record of the object to be written then.
  if (!existed || !object.exists || was_damaged || object.record != before) map_.mark(object);
  if (!map_.clean()) note_change();
  finish(op, kOk, op.kind == Op::Kind::write ? op.size : 0);
}

void BlockStore::set_block(Object& object, std::uint64_t index, const Block& block) noexcept {
  Segment& segment = map_.segment_to_clear(object, index / kSegmentBlocks);  // in memory since the op was planned
  const std::uint64_t at = index % kSegmentBlocks;
  if (segment.blocks.size() <= at) segment.blocks.resize(at + 1);
  Block& own = segment.blocks[at];
  // A commit may have begun while a block that was kept got its bytes: whether a map names it is known only here.
  const bool fresh = own.state == Block::State::none || own.place != block.place ? block.fresh : own.fresh;
  if (own.state == Block::State::none) {
    ++object.record.blocks;
    map_.mark(object);
  } else if (own.place != block.place) {
    give_up(own);
  }
  own = block;
  own.fresh = fresh;
  map_.drop_patches(object, index);
  map_.mark(object, index / kSegmentBlocks);
}

void BlockStore::clear_blocks(Object& object, std::uint64_t first, std::uint64_t last) noexcept {
  std::vector<std::uint64_t> numbers;
  const Status status =
      map_.segments_in(object, first / kSegmentBlocks, last / kSegmentBlocks, ~std::size_t{0}, &numbers);
  if (!status.ok()) log(Level::error, "the map cannot be walked; blocks of a removed range stay in use");
  for (const std::uint64_t number : numbers) {
    Segment& segment = map_.segment_to_clear(object, number);
    for (std::uint64_t at = 0; at < segment.blocks.size(); ++at) {
      const std::uint64_t index = number * kSegmentBlocks + at;
      Block& block = segment.blocks[at];
      if (index < first || index > last || block.state == Block::State::none) continue;
      give_up(block);
      block = Block{};
      map_.drop_patches(object, index);
      object.record.blocks -= std::min<std::uint64_t>(object.record.blocks, 1);
    }
    map_.mark(object, number);
  }
  map_.mark(object);
}

// Blocks that are kept have their place and no bytes. All or nothing.
void BlockStore::allocate_range(Op& op) noexcept {
  Object& object = *op.object;
  if (object.moving || object.record.small_bytes != 0) return start_change(op);
  const auto full = [&] { finish(op, {Code::no_space, 0, "the block device is full"}, 0); };
  const std::uint64_t wanted = op.size == 0 ? 0 : op.last - op.first + 1;
  // Not even if the object had everything it has in this range.
  if (wanted > blocks_total_) return full();
  std::uint64_t missing = 0;
  for (std::uint64_t index = op.first; wanted != 0 && index <= op.last;) {
    Segment* segment = nullptr;
    const std::uint64_t end = std::min(op.last + 1, (index / kSegmentBlocks + 1) * kSegmentBlocks);
    if (const Status status = map_.segment(object, index / kSegmentBlocks, &segment); !status.ok()) {
      return finish(op, status, 0);
    }
    for (; index < end; ++index) missing += block_at(*segment, index).state == Block::State::none ? 1 : 0;
  }
  switch (room_for({.fresh = missing, .records = wanted / kSegmentBlocks + 3})) {
    case Room::yes:
      break;
    case Room::wait:
      return wait_for_space(op);
    case Room::no:
      return full();
  }
  std::vector<Run> runs;
  if (missing != 0) take_blocks(object, missing, op.first, runs);
  auto run = runs.begin();
  for (std::uint64_t index = op.first; missing != 0 && index <= op.last; ++index) {
    if (block_at(map_.segment_to_clear(object, index / kSegmentBlocks), index).state != Block::State::none) continue;
    set_block(object, index, {run->place++, 0, Block::State::kept, true});
    --missing;
    if (--run->count == 0) ++run;
  }
  if (!object.exists) ++object_count_;
  object.exists = true;
  map_.mark(object);
  note_change();
  finish(op, kOk, 0);
}

}  // namespace rideau::block_device
