// SPDX-License-Identifier: Apache-2.0
// Marks of what is about to change: which are needed, how far they reach, and what is done without room for them.
#include "index_look.hpp"
#include "sum_table.hpp"

#include <algorithm>

namespace rideau::raw_file {

Status SumTable::index_has(ObjectId id, std::uint64_t first_segment, std::uint64_t last_segment, bool* has) const {
  *has = false;
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  const std::string from = segment_key(id, first_segment);
  Bytes key;
  Bytes value;
  const Status status = look->seek(view(from), &key, &value);
  if (!status.ok()) return status.code == Code::not_found ? kOk : status;
  ObjectId found;
  std::uint64_t number = 0;
  *has = parse_segment_key(key, &found, &number) && found == id && number <= last_segment;
  return kOk;
}

Status SumTable::needs_mark(ObjectId id, std::uint64_t first, std::uint64_t last, bool* needs) {
  const Range wanted = segments_of(first, last);
  const auto found = objects_.find(id);
  const Object* own = found != objects_.end() ? &found->second : nullptr;
  *needs = false;
  if (own != nullptr && own->marked.covers(wanted)) return kOk;
  if (wanted.end - wanted.begin > kMarkedAtOnce) {
    // What a commit brings cannot be seen yet.
    *needs = committing_.contains(id);
    if (*needs) return kOk;
    if (own != nullptr) {
      const auto begins = own->segments.lower_bound(wanted.begin);
      *needs = std::any_of(begins, own->segments.end(), [&wanted](const auto& entry) {
        const auto stored = [](const BlockSum& block) { return block.stored; };
        return entry.first < wanted.end && std::any_of(entry.second.blocks.begin(), entry.second.blocks.end(), stored);
      });
      if (*needs || own->born) return kOk;
    }
    return index_has(id, wanted.begin, wanted.end - 1, needs);
  }
  std::vector<BlockSum>& blocks = checked_;
  const Status status = look(id, first, last, &blocks);
  // What cannot be read is there.
  if (status.code == Code::corrupt) *needs = true;
  if (!status.ok()) return status.code == Code::corrupt ? kOk : status;
  for (std::uint64_t at = first; at <= last && !*needs; ++at) {
    const bool is_marked = own != nullptr && own->marked.contains(at / kSegmentBlocks);
    *needs = blocks[at - first].stored && !is_marked;
  }
  return kOk;
}

void SumTable::want_mark(ObjectId id, std::uint64_t first, std::uint64_t last) {
  Range wanted = segments_of(first, last);
  wanted.begin -= wanted.begin % kMarkedAtOnce;
  if (wanted.end != Ranges::kNoEnd) {
    wanted.end += (kMarkedAtOnce - wanted.end % kMarkedAtOnce) % kMarkedAtOnce;
    const auto found = objects_.find(id);
    const std::uint64_t before = found != objects_.end() ? found->second.marked.reaching(wanted.begin) : 0;
    wanted.end = std::max(wanted.end, wanted.begin + std::min(before, kMarkedAhead));
  }
  wanted_[id].add(wanted);
  want_neighbours(id);
}

// Some tools write all files of a folder anew. Each would wait for a commit of its own.
void SumTable::want_neighbours(ObjectId id) {
  const bool goes_on = last_wanted_ < id && id.high - last_wanted_.high <= kNearby;
  last_wanted_ = id;
  neighbours_ = goes_on ? std::clamp(2 * neighbours_, std::uint64_t{4}, kNeighboursMax) : 0;
  if (neighbours_ == 0) return;
  Look look(*index_);
  if (!look.status().ok()) return;  // whoever needs them says so
  Bytes key;
  Bytes value;
  ObjectId next = id;
  for (std::uint64_t i = 0; i < neighbours_; ++i) {
    // Behind all segments of the one before.
    const std::string from = segment_key(next, ~0ull);
    std::uint64_t number = 0;
    if (!look->seek(view(from), &key, &value).ok() || !parse_segment_key(key, &next, &number)) return;
    if (next.high - id.high > kNearby) return;
    // Only small ones are worth it: all of them is read after a crash.
    const std::string large = segment_key(next, kMarkedAtOnce);
    ObjectId owner;
    const bool is_large =
        look->seek(view(large), &key, &value).ok() && parse_segment_key(key, &owner, &number) && owner == next;
    if (!is_large) wanted_[next].add({0, Ranges::kNoEnd});
  }
}

void SumTable::capture_marks(std::vector<SumEdit>* edits) {
  marking_.swap(wanted_);
  for (auto& [id, ranges] : marking_) {
    Object& own = object(id);
    ranges.add(own.marked);
    ranges.bound(kMarkRunsMax);
    SumEdit edit;
    edit.key = mark_key(id);
    edit.value = mark_value(edit.key, ranges);
    edits->push_back(std::move(edit));
  }
}

Status SumTable::capture_instead(std::vector<SumEdit>* edits) {
  std::map<ObjectId, Ranges> wanted;
  wanted.swap(marking_);
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  for (const auto& [id, ranges] : wanted) {
    for (const Range& run : ranges.runs()) {
      const std::string from = segment_key(id, run.begin);
      Bytes key;
      Bytes value;
      Status status = look->seek(view(from), &key, &value);
      ObjectId found;
      std::uint64_t number = 0;
      for (; status.ok() && parse_segment_key(key, &found, &number) && found == id && number < run.end;
           status = look->next(&key, &value)) {
        if (edits->size() >= kEditsMax) return kOk;
        edits->push_back({std::string(key.view()), {}});
      }
      if (!status.ok() && status.code != Code::not_found) return status;
    }
    erasing_[id] = ranges;
  }
  return kOk;
}

void SumTable::erased(bool committed) {
  for (const auto& [id, ranges] : erasing_) {
    if (!committed) break;
    Object& own = object(id);
    for (const Range& run : ranges.runs()) own.void_segments.remove(run);
    for (auto& [number, found] : own.segments) {
      if (!ranges.contains(number)) continue;
      for (BlockSum& block : found.blocks) block.stored = false;
      change(id, found);
    }
  }
  erasing_.clear();
}

}  // namespace rideau::raw_file
