// SPDX-License-Identifier: Apache-2.0
// What lies where: objects and their segments, in memory as far as they were used or changed, behind that in the index.
// Memory always knows better than the index. Commits (commit.hpp) carry changes over.
#pragma once

#include "free_space.hpp"
#include "map_records.hpp"
#include "rideau/index_store.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace rideau::block_device {

struct Op;

struct Segment {
  std::vector<Block> blocks;  // at most kSegmentBlocks; those behind the end are `none`
  Patches patches;            // over blocks of data; changed through the map
  bool merging = false;       // an op writes them to blocks
  bool dirty = false;
  bool committing = false;
};

struct Object {
  ObjectId id;
  bool exists = false;
  bool dirty = false;
  bool committing = false;
  bool damaged = false;  // its record cannot be read; only what ends all that it had is allowed
  bool moving = false;   // an op takes its bytes from the index to blocks, and no other changes it
  ObjectRecord record;
  bool has_bytes = false;  // `bytes` are those of its record; otherwise the index alone has them
  std::string bytes;
  std::map<std::uint64_t, Segment> segments;  // by number
  std::set<std::uint64_t> dirty_segments;
  std::vector<Op*> ops;          // that were not finished, in the order of their arrival
  Run window;                    // blocks set aside for what is written next
  std::uint64_t next_place = 0;  // behind the last block that was written
  std::uint64_t next_index = 0;
};

// A put or, without a value, an erase.
struct MapChange {
  std::string key;
  std::string value;
  bool erase = false;
  bool begins_object = true;  // what precedes it is of another one
};

// What a commit carries.
struct Captured {
  std::vector<MapChange> changes;
  std::vector<ObjectId> objects;
  std::vector<std::pair<ObjectId, std::uint64_t>> segments;
};

class ObjectMap {
 public:
  explicit ObjectMap(std::uint64_t segments_max) : segments_max_(segments_max) {}
  void use(IndexStore& index) noexcept { index_ = &index; }

  // The object, whether it exists or not; it stays in memory until release(). `even_damaged`: also one whose record is
  // damaged.
  Status find(ObjectId id, Object** out, bool even_damaged = false);
  Status segment(Object& object, std::uint64_t number, Segment** out);
  // The same, but one that cannot be read is taken for empty: when all that it maps goes anyway.
  Segment& segment_to_clear(Object& object, std::uint64_t number);
  // Numbers of segments from `first` to `last` that may map something, ascending, at most `limit`.
  Status segments_in(Object& object, std::uint64_t first, std::uint64_t last, std::size_t limit,
                     std::vector<std::uint64_t>* out);
  // Of a small object: a copy of a range, verified where the index has it; zeros behind the end of what is there.
  Status read_bytes(const Object& object, std::uint64_t offset, std::uint64_t size, std::uint8_t* to);
  // Of a small object: all of its bytes, to be changed and put back.
  Status take_bytes(Object& object, std::string* out);
  void put_bytes(Object& object, std::string bytes);
  void drop_bytes(Object& object);                                   // they are in blocks now, or nowhere
  std::uint64_t bytes_held() const noexcept { return bytes_held_; }  // in memory
  // Bytes over a part of one block; `block` counts in the object, whose segment is in memory.
  void put_patch(Object& object, std::uint64_t block, std::uint64_t offset, std::string_view bytes);
  void drop_patches(Object& object, std::uint64_t block);
  // Which segments have such bytes, in memory or not: how many, as a start finds them or as they change.
  void note_patched(ObjectId id, std::uint64_t number, std::uint64_t bytes);
  std::uint64_t patched_bytes() const noexcept { return patched_bytes_; }
  // The next one of them, round and round.
  bool next_patched(ObjectId* id, std::uint64_t* number);
  std::size_t patched_segments() const noexcept { return patched_.size(); }
  Status list(const ObjectId* after, std::uint32_t capacity, std::vector<ObjectId>* out);

  void mark(Object& object);
  void mark(Object& object, std::uint64_t number);
  bool clean() const noexcept { return dirty_.empty(); }
  std::uint64_t dirty_records() const noexcept { return dirty_records_; }
  bool is_dirty(ObjectId id) const { return dirty_.contains(id); }
  bool is_committing(ObjectId id) const;

  void capture(Captured* to);
  // After the commit: memory and index agree, or what was captured is dirty again.
  void settle(const Captured& captured, bool committed);
  // Nobody works on the object any more.
  void release(Object& object);

 private:
  void drop_clean_segments(Object& object);
  void forget_bytes(Object& object) noexcept;

  IndexStore* index_ = nullptr;
  std::map<ObjectId, Object> objects_;
  std::set<ObjectId> dirty_;
  std::uint64_t dirty_records_ = 0;
  std::uint64_t bytes_held_ = 0;
  std::map<std::pair<ObjectId, std::uint64_t>, std::uint64_t> patched_;  // segments to bytes
  std::pair<ObjectId, std::uint64_t> last_patched_;                      // that next_patched() told
  std::uint64_t patched_bytes_ = 0;
  std::uint64_t segments_loaded_ = 0;
  const std::uint64_t segments_max_;
};

}  // namespace rideau::block_device
