// SPDX-License-Identifier: Apache-2.0
// SumTable: the sums of blocks. What the index has of them is right for bytes that are durable; what changed since is
// here, in memory, until the store finds its file flushed and carries it over.
//
// Before a block changes whose sum the index may have, its segment is *marked* there, durably. A mark says: do not
// believe these sums. So whatever a crash keeps and loses, no sum is believed that does not belong to its bytes.
// A mark goes when nothing of what it covers changed for some rounds, with the sums of all that or after them.
//
// No I/O but looks into the index; one thread.
#pragma once

#include "rideau/index_store.hpp"
#include "sum_records.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace rideau::raw_file {

// A put or, with an empty value, an erase.
struct SumEdit {
  std::string key;
  std::string value;
};

class SumTable {
 public:
  // One durable mark covers so many segments at least, so that writing on needs no other one; behind what is marked,
  // as much again.
  static constexpr std::uint64_t kMarkedAtOnce = 16;
  static constexpr std::uint64_t kMarkedAhead = 1024;
  static constexpr std::uint64_t kRestRounds = 6;

  void use(IndexStore& index) noexcept { index_ = &index; }
  // The marks that the life before left: what they cover has no sums.
  Status load_marks();
  std::vector<std::pair<ObjectId, Ranges>> marked() const;

  // The sums of blocks first to last, for a reader.
  Status look(ObjectId id, std::uint64_t first, std::uint64_t last, std::vector<BlockSum>* out);

  // Whether blocks first to last must be marked before they change. `last` may be kLastBlock.
  static constexpr std::uint64_t kLastBlock = ~0ull >> 1;
  Status needs_mark(ObjectId id, std::uint64_t first, std::uint64_t last, bool* needs);
  // Who changes one object after the other finds the next ones marked.
  void want_mark(ObjectId id, std::uint64_t first, std::uint64_t last);
  // Between hold and release marks of the object stay.
  void hold(ObjectId id);
  void release(ObjectId id);
  // While they change, and when nobody knows what became of them, blocks have no sum.
  Status forget(ObjectId id, std::uint64_t first, std::uint64_t last);
  void set(ObjectId id, std::uint64_t first, const std::vector<std::uint32_t>& sums);
  // Sums of bytes that were read, for blocks that have none.
  Status adopt(ObjectId id, std::uint64_t first, const std::vector<BlockSum>& sums);
  // The object is gone, or not there yet.
  void forget_all(ObjectId id);
  // The index may know something of this object.
  Status has_records(ObjectId id, bool* has);
  // The object is new, and the index knows nothing of it.
  void born(ObjectId id);

  bool settled() const noexcept { return unsettled_.empty(); }
  std::size_t segments_in_memory() const noexcept { return segments_; }

  // The next edits of the index: wanted marks, or else, with `settling`, what `is_flushed` says the bytes of are
  // durable. Empty: there is nothing to do. Then commit_ended() before anything else is captured.
  // With `erasing` only what takes records away.
  template <class IsFlushed>
  Status capture(bool settling, bool erasing, IsFlushed&& is_flushed, std::vector<SumEdit>* edits) {
    if (!wanted_.empty()) {
      capture_marks(edits);
      return kOk;
    }
    if (!settling) return kOk;
    for (auto at = unsettled_.begin(); at != unsettled_.end() && edits->size() < kEditsMax;) {
      const ObjectId id = *at++;
      if (!has_work(id, erasing) || !is_flushed(id)) continue;
      if (const Status status = capture_object(id, edits); !status.ok()) return status;
    }
    return kOk;
  }
  void commit_ended(bool committed);
  // Each begin of settling is one.
  void next_round() noexcept { ++round_; }
  // Marks that rest go too.
  void rest_no_more() noexcept { rests_ = false; }
  // Instead of marks that found no room: edits that erase what they would have covered. At most some of it at a time;
  // then erased(), and whoever waits for a mark looks again.
  Status capture_instead(std::vector<SumEdit>* edits);
  void erased(bool committed);
  // Forgets what has not come to the index: these blocks have no sum, or the one that the index has.
  void give_up();

 private:
  static constexpr std::size_t kEditsMax = 500;
  static constexpr std::size_t kMarkRunsMax = 32;
  static constexpr std::size_t kRestingMax = 16384;    // objects in memory; with more, marks go at once
  static constexpr std::uint64_t kNeighboursMax = 64;  // objects that are marked beside one
  static constexpr std::uint64_t kNearby = 1024;       // numbers of inodes between them

  struct Segment {
    std::vector<BlockSum> blocks;  // those behind the end are not known
    bool changed = false;
    bool committing = false;
  };
  struct Object {
    std::map<std::uint64_t, Segment> segments;
    Ranges marked;         // as the index has it
    Ranges marked_before;  // what a commit takes away
    Ranges void_segments;  // what the index has of these means nothing
    Ranges void_before;    // what a commit erases
    std::uint64_t changed_round = 0;
    std::uint32_t holders = 0;
    bool has_clean = false;  // segments that the index has too may be here
    bool born = false;       // since then nothing of it went to the index
  };

  Object& object(ObjectId id) { return objects_[id]; }
  Status read_segment_of(ObjectId id, const Object* object, std::uint64_t number, std::vector<BlockSum>* out) const;
  Status segment(ObjectId id, std::uint64_t number, Segment** out);
  void change(ObjectId id, Segment& segment);
  void forget_whole(ObjectId id, Range segments);
  Status index_has(ObjectId id, std::uint64_t first_segment, std::uint64_t last_segment, bool* has) const;
  void capture_marks(std::vector<SumEdit>* edits);
  Status capture_object(ObjectId id, std::vector<SumEdit>* edits);
  Status capture_void(ObjectId id, Object& object, std::vector<SumEdit>* edits);
  bool rests(const Object& own) const;
  bool has_work(ObjectId id, bool erasing) const;
  bool has_changed(ObjectId id) const;
  void want_neighbours(ObjectId id);
  void drop_unneeded(ObjectId id);

  IndexStore* index_ = nullptr;
  std::map<ObjectId, Object> objects_;
  std::set<ObjectId> unsettled_;
  std::map<ObjectId, Ranges> wanted_;
  std::map<ObjectId, Ranges> marking_;  // of the commit that runs
  std::map<ObjectId, Ranges> erasing_;  // of the commit that runs: nothing is left of these
  std::set<ObjectId> committing_;
  std::size_t segments_ = 0;
  std::uint64_t round_ = 0;
  bool rests_ = true;
  ObjectId last_wanted_{};
  std::uint64_t neighbours_ = 0;   // that were marked beside the last one
  std::vector<BlockSum> read_;     // by look()
  std::vector<BlockSum> checked_;  // by needs_mark()
};

}  // namespace rideau::raw_file
