// SPDX-License-Identifier: Apache-2.0
// The calls of the interface, and how ops are admitted and ended.
#include "store.hpp"

#include "../shared/bounds.hpp"

#include <algorithm>

namespace rideau::block_device {
namespace {

constexpr std::uint64_t kNoBlock = ~0ull;
constexpr std::size_t kFoundSegmentsMax = 4096;  // of one run of data that find_data tells

bool conflict(const Op& one, const Op& other) noexcept {
  return (one.changes() || other.changes()) && one.first <= other.last && other.first <= one.last;
}

std::uint64_t segments_of(std::uint64_t cache_bytes) { return cache_bytes / (kSegmentBlocks * sizeof(Block)); }

}  // namespace

BlockStore::BlockStore(Host& host, std::unique_ptr<Device> device, StoreSettings settings)
    : host_(host), device_(std::move(device)), settings_(settings), map_(segments_of(settings.map_cache_bytes)) {}

ObjectLimits BlockStore::limits() const noexcept {
  return {kObjectBytesMax, kIoBytesMax, kPartsMax, kBlockBytes, kBlockBytes};
}

Status BlockStore::accepts_calls() const noexcept {
  if (life_ != Life::running) return kClosed;
  if (op_count_ >= kCallsMax) return {Code::busy, 0, "too many pending calls of a block-device store"};
  return kOk;
}

Submitted BlockStore::read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                           Completion& done) noexcept {
  return transfer(Op::Kind::read, id, offset, parts, part_count, done);
}

Submitted BlockStore::write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                            Completion& done) noexcept {
  return transfer(Op::Kind::write, id, offset, parts, part_count, done);
}

Submitted BlockStore::transfer(Op::Kind kind, ObjectId id, std::uint64_t offset, const IoVec* parts,
                               std::uint32_t part_count, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  std::uint64_t size = 0;
  Status fits = backend::measure_parts(limits(), parts, part_count, &size);
  if (fits.ok() && kind == Op::Kind::write) fits = backend::fits_object(limits(), offset, size);
  if (!fits.ok()) return done.finish(fits);
  if (offset >= kObjectBytesMax) size = 0;  // nothing can be read there
  const std::uint64_t first = std::min(offset, kObjectBytesMax) / kBlockBytes;
  const std::uint64_t last = size == 0 ? first : (offset + size - 1) / kBlockBytes;
  return submit_op(kind, id, offset, size, first, last, parts, part_count, done);
}

Submitted BlockStore::truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  if (const Status fits = backend::fits_object(limits(), 0, size); !fits.ok()) return done.finish(fits);
  return submit_op(Op::Kind::truncate, id, 0, size, 0, kNoBlock, nullptr, 0, done);
}

Submitted BlockStore::punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  offset = std::min(offset, kObjectBytesMax);
  size = std::min(size, kObjectBytesMax - offset);
  const std::uint64_t first = offset / kBlockBytes;
  const std::uint64_t last = size == 0 ? first : (offset + size - 1) / kBlockBytes;
  return submit_op(Op::Kind::punch, id, offset, size, first, last, nullptr, 0, done);
}

Submitted BlockStore::allocate(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  if (const Status fits = backend::fits_object(limits(), offset, size); !fits.ok()) return done.finish(fits);
  const std::uint64_t first = offset / kBlockBytes;
  const std::uint64_t last = size == 0 ? first : (offset + size - 1) / kBlockBytes;
  return submit_op(Op::Kind::allocate, id, offset, size, first, last, nullptr, 0, done);
}

Submitted BlockStore::remove(ObjectId id, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  return submit_op(Op::Kind::remove, id, 0, 0, 0, kNoBlock, nullptr, 0, done);
}

Submitted BlockStore::stat(ObjectId id, ObjectStat* out, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  Object* object = nullptr;
  if (const Status status = map_.find(id, &object); !status.ok()) return done.finish(status);
  const bool exists = object->exists;
  *out = {object->record.size, (object->record.blocks + blocks_for(object->record.small_bytes)) * kBlockBytes};
  map_.release(*object);
  return done.finish(exists ? kOk : Status{Code::not_found, 0, "stat of an object"});
}

Submitted BlockStore::find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  Object* object = nullptr;
  if (const Status status = map_.find(id, &object); !status.ok()) return done.finish(status);
  if (!object->exists) {
    map_.release(*object);
    return done.finish({Code::not_found, 0, "find data in an object"});
  }
  const std::uint64_t size = object->record.size;
  *out = {size, size};
  Status status{};
  bool found = false;
  bool ended = offset >= size;
  if (const std::uint64_t end = blocks_for(object->record.small_bytes) * kBlockBytes; offset < std::min(size, end)) {
    *out = {offset, std::min(size, end)};
    ended = true;
  }
  std::uint64_t block = ended ? 0 : offset / kBlockBytes;
  std::uint64_t expected = 0;  // the block behind the run so far
  for (std::size_t seen = 0; status.ok() && !ended && seen < kFoundSegmentsMax;) {
    std::vector<std::uint64_t> numbers;
    status = map_.segments_in(*object, block / kSegmentBlocks, kNoBlock, found ? 1 : 16, &numbers);
    ended = numbers.empty();
    for (const std::uint64_t number : numbers) {
      Segment* segment = nullptr;
      if (status.ok()) status = map_.segment(*object, number, &segment);
      if (!status.ok()) break;
      ++seen;
      const std::uint64_t base = number * kSegmentBlocks;
      for (std::uint64_t at = std::max(block, base); !ended && at < base + kSegmentBlocks; ++at) {
        const bool data = at - base < segment->blocks.size() && segment->blocks[at - base].state == Block::State::data;
        ended = found && (!data || at != expected);
        if (!data || ended) continue;
        if (!found) out->begin = std::max(offset, at * kBlockBytes);
        found = true;
        expected = at + 1;
      }
      block = base + kSegmentBlocks;
      if (ended) break;
    }
  }
  if (found) out->end = std::min(size, expected * kBlockBytes);
  if (out->begin >= size) *out = {size, size};
  map_.release(*object);
  return done.finish(status);
}

Submitted BlockStore::list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  std::vector<ObjectId> found;
  const Status status = map_.list(after, capacity, &found);
  if (!status.ok()) return done.finish(status);
  std::copy(found.begin(), found.end(), out);
  return done.finish(kOk, found.size());
}

Status BlockStore::space(ObjectSpace* out) noexcept {
  if (life_ != Life::running) return kClosed;
  const std::uint64_t unused = blocks_free() - std::min(blocks_free(), small_blocks_);
  *out = {};
  out->bytes_total = (blocks_total_ - reserve_) * kBlockBytes;
  out->bytes_free = (unused - std::min(unused, reserve_)) * kBlockBytes;
  out->bytes_free = std::min(out->bytes_free, device_->room());
  out->object_count = object_count_;
  return kOk;
}

Submitted BlockStore::lend(ObjectId, std::uint64_t, std::uint64_t, Purpose, ObjectLoan*, Completion& done) noexcept {
  return done.finish({Code::unsupported, 0, "block-device lends no buffers"});
}

void BlockStore::give_back(ObjectLoan&) noexcept {}

void BlockStore::log(Level level, const std::string& message) noexcept {
  const std::string line = "block-device: " + message;
  host_.log(level, Text(line.data(), line.size()));
}

Op& BlockStore::take_op() noexcept {
  ++op_count_;
  if (free_ops_.empty()) {
    all_ops_.push_back(std::make_unique<Op>());
    free_ops_.push_back(all_ops_.back().get());
  }
  Op& op = *free_ops_.back();
  free_ops_.pop_back();
  op.store = this;
  return op;
}

Submitted BlockStore::submit_op(Op::Kind kind, ObjectId id, std::uint64_t offset, std::uint64_t size,
                                std::uint64_t first, std::uint64_t last, const IoVec* parts, std::uint32_t part_count,
                                Completion& done) noexcept {
  // What ends all that an object had may be done to one whose record is damaged.
  const bool ends_all = kind == Op::Kind::remove || (kind == Op::Kind::truncate && size == 0);
  Object* object = nullptr;
  if (const Status status = map_.find(id, &object, ends_all); !status.ok()) {
    if (status.code == Code::corrupt) log(Level::error, object_name(id) + ": its record in the index is damaged");
    return done.finish(status);
  }
  Op& op = take_op();
  op.kind = kind;
  op.stage = Op::Stage::waiting;
  op.object = object;
  op.done = &done;
  done.plugin_slot[0] = &op;
  op.offset = offset;
  op.size = size;
  op.first = first;
  op.last = last;
  for (std::uint32_t i = 0; i < part_count; ++i) {
    if (parts[i].size != 0) op.parts.push_back(parts[i]);
  }
  object->ops.push_back(&op);
  admit(*object);
  work();
  return Submitted::pending;
}

// Nobody overtakes an op that it conflicts with.
void BlockStore::admit(Object& object) noexcept {
  for (std::size_t i = 0; i < object.ops.size(); ++i) {
    Op& op = *object.ops[i];
    if (op.stage != Op::Stage::waiting) continue;
    const auto end = object.ops.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::any_of(object.ops.begin(), end, [&op](const Op* earlier) { return conflict(*earlier, op); })) continue;
    op.stage = Op::Stage::ready;
    ready_.push_back(&op);
  }
}

void BlockStore::work() noexcept {
  if (working_) return;
  working_ = true;
  while (!ready_.empty() && !free_slots_.empty()) {
    Op& op = *ready_.front();
    ready_.pop_front();
    op.stage = Op::Stage::working;
    op.memory = free_slots_.back();
    free_slots_.pop_back();
    ++active_;
    dispatch(op);
  }
  working_ = false;
  if (life_ == Life::stopping) check_stopped();
  device_->work();
}

void BlockStore::dispatch(Op& op) noexcept {
  if (!op.object->exists && !op.makes_object()) {
    const Status absent{Code::not_found, 0, "no such object"};
    return finish(op, op.kind == Op::Kind::remove ? kOk : absent, 0);
  }
  if (op.kind == Op::Kind::read) return start_read(op);
  if (crowded()) {
    crowd_waiters_.push_back(&op);
    return;
  }
  if (op.kind == Op::Kind::allocate) return allocate_range(op);
  start_change(op);
}

// Ends an op in whatever stage it is; the completion is delivered later.
void BlockStore::finish(Op& op, Status status, std::uint64_t value) noexcept {
  Object& object = *op.object;
  if (op.stage == Op::Stage::working) {
    --active_;
    free_slots_.push_back(op.memory);
  }
  std::erase(object.ops, &op);
  --op_count_;
  if (op.kind == Op::Kind::merge) {
    merge_ended(op, status);
  } else {
    op.done->plugin_slot[0] = nullptr;
    host_.complete(*op.done, status, value);
  }
  std::vector<IoVec> parts = std::move(op.parts);  // their capacity is worth keeping
  std::vector<Item> items = std::move(op.items);
  std::vector<Request> requests = std::move(op.requests);
  parts.clear();
  items.clear();
  requests.clear();
  op = Op{};
  op.parts = std::move(parts);
  op.items = std::move(items);
  op.requests = std::move(requests);
  free_ops_.push_back(&op);
  admit(object);
  map_.release(object);
  work();
}

void BlockStore::cancel(Completion& pending) noexcept {
  Op* op = static_cast<Op*>(pending.plugin_slot[0]);
  if (op == nullptr || op->stage == Op::Stage::working) return;
  if (op->stage == Op::Stage::ready) std::erase(ready_, op);
  finish(*op, {Code::cancelled, 0, "call of a block-device store"}, 0);
}

}  // namespace rideau::block_device
