// SPDX-License-Identifier: Apache-2.0
#include "object_map.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace rideau::block_device {
namespace {

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

// A snapshot for as long as it is looked at.
class Look {
 public:
  explicit Look(IndexStore& index) { status_ = index.snapshot(&snapshot_); }
  Look(const Look&) = delete;
  Look& operator=(const Look&) = delete;
  ~Look() {
    if (snapshot_ != nullptr) snapshot_->release();
  }
  Status status() const noexcept { return status_; }
  Snapshot* operator->() const noexcept { return snapshot_; }

 private:
  Snapshot* snapshot_ = nullptr;
  Status status_{};
};

bool maps_nothing(const Segment& segment) {
  return std::all_of(segment.blocks.begin(), segment.blocks.end(),
                     [](const Block& block) { return block.state == Block::State::none; });
}

}  // namespace

Status ObjectMap::find(ObjectId id, Object** out, bool even_damaged) {
  const auto known = objects_.find(id);
  if (known != objects_.end()) {
    if (known->second.damaged && !even_damaged) return {Code::corrupt, 0, "the record of an object is damaged"};
    *out = &known->second;
    return kOk;
  }
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  Bytes value;
  ObjectRecord record;
  const std::string key = object_key(id);
  Status status = look->get(view(key), &value);
  const bool exists = status.ok();
  if (exists) status = read_object(view(key), value, &record);
  const bool damaged = status.code == Code::corrupt && even_damaged;
  if (damaged) record = {0, 0, small_bytes_of(value)};
  if (!status.ok() && status.code != Code::not_found && !damaged) return status;
  Object& object = objects_[id];
  object.id = id;
  object.exists = exists;
  object.damaged = damaged;
  object.record = record;
  *out = &object;
  return kOk;
}

Status ObjectMap::segment(Object& object, std::uint64_t number, Segment** out) {
  const auto known = object.segments.find(number);
  if (known != object.segments.end()) {
    *out = &known->second;
    return kOk;
  }
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  Bytes value;
  std::vector<Block> blocks;
  const std::string key = segment_key(object.id, number);
  Status status = look->get(view(key), &value);
  Patches patches;
  if (status.ok()) status = read_segment(view(key), value, &blocks, &patches);
  if (!status.ok() && status.code != Code::not_found) return status;
  *out = &object.segments[number];
  (*out)->blocks = std::move(blocks);
  (*out)->patches = std::move(patches);
  ++segments_loaded_;
  return kOk;
}

Segment& ObjectMap::segment_to_clear(Object& object, std::uint64_t number) {
  Segment* found = nullptr;
  if (segment(object, number, &found).ok()) return *found;
  note_patched(object.id, number, 0);
  ++segments_loaded_;
  return object.segments[number];
}

Status ObjectMap::segments_in(Object& object, std::uint64_t first, std::uint64_t last, std::size_t limit,
                              std::vector<std::uint64_t>* out) {
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  const std::string from = segment_key(object.id, first);
  Bytes key;
  Bytes value;
  Status status = look->seek(view(from), &key, &value);
  auto loaded = object.segments.lower_bound(first);
  while (out->size() < limit) {
    ObjectId id;
    std::uint64_t stored = 0;
    if (!status.ok() && status.code != Code::not_found) return status;
    const bool has_stored = status.ok() && parse_segment_key(key, &id, &stored) && id == object.id && stored <= last;
    const bool has_loaded = loaded != object.segments.end() && loaded->first <= last;
    if (!has_stored && !has_loaded) break;
    if (has_loaded && (!has_stored || loaded->first <= stored)) {
      if (has_stored && loaded->first == stored) status = look->next(&key, &value);
      if (!maps_nothing(loaded->second)) out->push_back(loaded->first);
      ++loaded;
    } else {
      out->push_back(stored);
      status = look->next(&key, &value);
    }
  }
  return kOk;
}

Status ObjectMap::read_bytes(const Object& object, std::uint64_t offset, std::uint64_t size, std::uint8_t* to) {
  const auto copy = [&](Bytes from) {
    const std::uint64_t there = offset < from.size ? std::min<std::uint64_t>(size, from.size - offset) : 0;
    if (there != 0) std::memcpy(to, from.data + offset, there);
    std::memset(to + there, 0, size - there);
  };
  if (object.has_bytes) {
    copy(view(object.bytes));
    return kOk;
  }
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  const std::string key = object_key(object.id);
  Bytes value;
  Bytes bytes;
  ObjectRecord record;
  Status status = look->get(view(key), &value);
  if (status.ok()) status = read_object(view(key), value, &record, &bytes);
  if (status.code == Code::not_found || (status.ok() && bytes.size != object.record.small_bytes)) {
    status = {Code::corrupt, 0, "the index has lost the record of an object"};
  }
  if (status.ok()) copy(bytes);
  return status;
}

Status ObjectMap::take_bytes(Object& object, std::string* out) {
  if (object.has_bytes) {
    *out = std::move(object.bytes);
    forget_bytes(object);
    return kOk;
  }
  out->resize(object.record.small_bytes);
  return read_bytes(object, 0, out->size(), reinterpret_cast<std::uint8_t*>(out->data()));
}

void ObjectMap::put_bytes(Object& object, std::string bytes) {
  forget_bytes(object);
  object.bytes = std::move(bytes);
  object.has_bytes = true;
  object.record.small_bytes = object.bytes.size();
  bytes_held_ += object.bytes.size();
}

void ObjectMap::drop_bytes(Object& object) {
  forget_bytes(object);
  object.record.small_bytes = 0;
}

// The count of them stays in the record.
void ObjectMap::forget_bytes(Object& object) noexcept {
  if (!object.has_bytes) return;
  bytes_held_ -= object.record.small_bytes;
  object.has_bytes = false;
  object.bytes = {};
}

void ObjectMap::put_patch(Object& object, std::uint64_t block, std::uint64_t offset, std::string_view bytes) {
  const std::uint64_t number = block / kSegmentBlocks;
  Patches& patches = object.segments.at(number).patches;
  patches.put(static_cast<std::uint16_t>(block % kSegmentBlocks), static_cast<std::uint16_t>(offset), bytes);
  note_patched(object.id, number, patches.bytes());
}

void ObjectMap::drop_patches(Object& object, std::uint64_t block) {
  const std::uint64_t number = block / kSegmentBlocks;
  Patches& patches = object.segments.at(number).patches;
  if (patches.empty()) return;
  patches.drop(static_cast<std::uint16_t>(block % kSegmentBlocks));
  note_patched(object.id, number, patches.bytes());
}

void ObjectMap::note_patched(ObjectId id, std::uint64_t number, std::uint64_t bytes) {
  const auto known = patched_.find({id, number});
  if (known != patched_.end()) {
    patched_bytes_ -= known->second;
    patched_.erase(known);
  }
  if (bytes == 0) return;
  constexpr std::uint64_t kEntryBytes = 64;  // to remember it
  patched_.emplace(std::pair(id, number), bytes + kEntryBytes);
  patched_bytes_ += bytes + kEntryBytes;
}

bool ObjectMap::next_patched(ObjectId* id, std::uint64_t* number) {
  if (patched_.empty()) return false;
  auto next = patched_.upper_bound(last_patched_);
  if (next == patched_.end()) next = patched_.begin();
  last_patched_ = next->first;
  *id = next->first.first;
  *number = next->first.second;
  return true;
}

Status ObjectMap::list(const ObjectId* after, std::uint32_t capacity, std::vector<ObjectId>* out) {
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  const std::string from = after != nullptr ? object_key(*after) : objects_prefix();
  Bytes key;
  Bytes value;
  Status status = look->seek(view(from), &key, &value);
  auto known = after != nullptr ? objects_.upper_bound(*after) : objects_.begin();
  while (out->size() < capacity) {
    if (!status.ok() && status.code != Code::not_found) return status;
    ObjectId stored;
    const bool has_stored = status.ok() && parse_object_key(key, &stored);
    if (has_stored && after != nullptr && stored == *after) {
      status = look->next(&key, &value);
      continue;
    }
    if (!has_stored && known == objects_.end()) break;
    if (known != objects_.end() && (!has_stored || known->first <= stored)) {
      if (has_stored && known->first == stored) status = look->next(&key, &value);
      if (known->second.exists) out->push_back(known->first);
      ++known;
    } else {
      out->push_back(stored);
      status = look->next(&key, &value);
    }
  }
  return kOk;
}

void ObjectMap::mark(Object& object) {
  if (object.dirty) return;
  object.dirty = true;
  ++dirty_records_;
  dirty_.insert(object.id);
}

void ObjectMap::mark(Object& object, std::uint64_t number) {
  Segment& segment = object.segments.at(number);
  if (segment.dirty) return;
  segment.dirty = true;
  object.dirty_segments.insert(number);
  ++dirty_records_;
  dirty_.insert(object.id);
}

bool ObjectMap::is_committing(ObjectId id) const {
  const auto known = objects_.find(id);
  if (known == objects_.end()) return false;
  const auto committing = [](const auto& entry) { return entry.second.committing; };
  return known->second.committing ||
         std::any_of(known->second.segments.begin(), known->second.segments.end(), committing);
}

// Segments of an object stand before its record, so that a commit that ends in the middle leaves segments without an
// object, which a start erases, and never an object that misses what it had.
void ObjectMap::capture(Captured* to) {
  for (const ObjectId id : dirty_) {
    Object& object = objects_.at(id);
    bool begins = true;
    for (const std::uint64_t number : object.dirty_segments) {
      Segment& segment = object.segments.at(number);
      MapChange change;
      change.begins_object = std::exchange(begins, false);
      change.key = segment_key(id, number);
      change.erase = maps_nothing(segment);
      if (!change.erase) change.value = segment_value(change.key, segment.blocks, segment.patches);
      to->changes.push_back(std::move(change));
      for (Block& block : segment.blocks) block.fresh = false;
      segment.dirty = false;
      segment.committing = true;
      to->segments.emplace_back(id, number);
    }
    object.dirty_segments.clear();
    if (!object.dirty) continue;
    MapChange change;
    change.begins_object = begins;
    change.key = object_key(id);
    change.erase = !object.exists;
    if (!change.erase) change.value = object_value(change.key, object.record, object.bytes);
    to->changes.push_back(std::move(change));
    object.dirty = false;
    object.committing = true;
    to->objects.push_back(id);
  }
  dirty_.clear();
  dirty_records_ = 0;
}

void ObjectMap::settle(const Captured& captured, bool committed) {
  for (const auto& [id, number] : captured.segments) {
    Object& object = objects_.at(id);
    object.segments.at(number).committing = false;
    if (!committed) mark(object, number);
  }
  for (const ObjectId id : captured.objects) {
    Object& object = objects_.at(id);
    object.committing = false;
    if (!committed) mark(object);
  }
  for (const auto& [id, number] : captured.segments) {
    if (const auto known = objects_.find(id); known != objects_.end()) release(known->second);
  }
  for (const ObjectId id : captured.objects) {
    if (const auto known = objects_.find(id); known != objects_.end()) release(known->second);
  }
}

void ObjectMap::drop_clean_segments(Object& object) {
  segments_loaded_ -=
      std::erase_if(object.segments, [](const auto& entry) { return !entry.second.dirty && !entry.second.committing; });
}

// Objects that nobody uses stay while there is room: without them every call would decode its records anew.
void ObjectMap::release(Object& object) {
  if (!object.ops.empty()) return;
  // Each read of a small object is one of its record, with its checksum, as each read of a block is one of the device.
  if (!object.dirty && !object.committing) forget_bytes(object);
  if (object.window.count != 0) return;
  if (segments_loaded_ > segments_max_ || !object.exists) drop_clean_segments(object);
  const bool needed = object.dirty || object.committing || !object.segments.empty();
  if (needed || (object.exists && objects_.size() <= segments_max_)) return;
  const ObjectId id = object.id;
  objects_.erase(id);
}

}  // namespace rideau::block_device
