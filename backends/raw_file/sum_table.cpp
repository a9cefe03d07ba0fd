// SPDX-License-Identifier: Apache-2.0
#include "sum_table.hpp"

#include "index_look.hpp"

#include <algorithm>

namespace rideau::raw_file {

Status SumTable::load_marks() {
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  const std::string from = marks_prefix();
  Bytes key;
  Bytes value;
  Status status = look->seek(view(from), &key, &value);
  ObjectId id;
  for (; status.ok() && parse_mark_key(key, &id); status = look->next(&key, &value)) {
    Object& found = object(id);
    // A mark that cannot be read marks everything.
    if (!read_mark(key, value, &found.marked).ok()) found.marked.add({0, Ranges::kNoEnd});
    found.void_segments = found.marked;
    found.changed_round = round_;
    unsettled_.insert(id);
  }
  return status.ok() || status.code == Code::not_found ? kOk : status;
}

std::vector<std::pair<ObjectId, Ranges>> SumTable::marked() const {
  std::vector<std::pair<ObjectId, Ranges>> found;
  for (const auto& [id, object] : objects_) {
    if (!object.marked.empty()) found.emplace_back(id, object.marked);
  }
  return found;
}

// As far as it is not in memory.
Status SumTable::read_segment_of(ObjectId id, const Object* object, std::uint64_t number,
                                 std::vector<BlockSum>* out) const {
  out->clear();
  if (object != nullptr && object->born) return kOk;
  if (object != nullptr && (object->void_segments.contains(number) || object->void_before.contains(number))) {
    // A record that means nothing may still be there: until it is erased only the mark says so.
    out->assign(kSegmentBlocks, BlockSum{0, false, true});
    return kOk;
  }
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  Bytes value;
  const std::string key = segment_key(id, number);
  const Status status = look->get(view(key), &value);
  if (status.code == Code::not_found) return kOk;
  return status.ok() ? read_segment(view(key), value, out) : status;
}

Status SumTable::segment(ObjectId id, std::uint64_t number, Segment** out) {
  Object& own = object(id);
  const auto known = own.segments.find(number);
  if (known != own.segments.end()) {
    *out = &known->second;
    return kOk;
  }
  std::vector<BlockSum> blocks;
  if (const Status status = read_segment_of(id, &own, number, &blocks); !status.ok()) return status;
  *out = &own.segments[number];
  (*out)->blocks = std::move(blocks);
  ++segments_;
  return kOk;
}

Status SumTable::look(ObjectId id, std::uint64_t first, std::uint64_t last, std::vector<BlockSum>* out) {
  out->assign(last - first + 1, BlockSum{});
  const auto found = objects_.find(id);
  const Object* own = found != objects_.end() ? &found->second : nullptr;
  for (std::uint64_t number = first / kSegmentBlocks; number <= last / kSegmentBlocks; ++number) {
    const std::vector<BlockSum>* blocks = &read_;
    const bool in_memory = own != nullptr && own->segments.contains(number);
    if (in_memory) {
      blocks = &own->segments.at(number).blocks;
    } else if (const Status status = read_segment_of(id, own, number, &read_); !status.ok()) {
      return status;
    }
    const std::uint64_t begin = number * kSegmentBlocks;
    for (std::uint64_t at = std::max(begin, first); at <= last && at - begin < blocks->size(); ++at) {
      (*out)[at - first] = (*blocks)[at - begin];
    }
  }
  return kOk;
}

void SumTable::hold(ObjectId id) { ++object(id).holders; }

void SumTable::release(ObjectId id) {
  --object(id).holders;
  drop_unneeded(id);
}

void SumTable::change(ObjectId id, Segment& segment) {
  segment.changed = true;
  object(id).changed_round = round_;
  unsettled_.insert(id);
}

Status SumTable::forget(ObjectId id, std::uint64_t first, std::uint64_t last) {
  if (first > last) return kOk;
  const Range touched = segments_of(first, last);
  const Range whole = {(first + kSegmentBlocks - 1) / kSegmentBlocks,
                       last >= kLastBlock ? Ranges::kNoEnd : (last + 1) / kSegmentBlocks};
  const bool many = whole.begin < whole.end && whole.end - whole.begin > kMarkedAtOnce;
  if (many) forget_whole(id, whole);
  for (std::uint64_t number = touched.begin; number < touched.end; ++number) {
    const bool is_whole = number >= whole.begin && number < whole.end;
    if (many && is_whole) {
      if (whole.end >= touched.end) break;
      number = whole.end - 1;
      continue;
    }
    Segment* found = nullptr;
    const Status status = segment(id, number, &found);
    if (status.code == Code::corrupt && is_whole) {
      forget_whole(id, {number, number + 1});
      continue;
    }
    if (!status.ok()) return status;
    const std::uint64_t begin = number * kSegmentBlocks;
    for (std::uint64_t at = std::max(begin, first); at <= last && at - begin < found->blocks.size(); ++at) {
      found->blocks[at - begin].known = false;
    }
    change(id, *found);
  }
  return kOk;
}

// They need not be read.
void SumTable::forget_whole(ObjectId id, Range segments) {
  Object& own = object(id);
  const auto from = own.segments.lower_bound(segments.begin);
  const auto to = segments.end == Ranges::kNoEnd ? own.segments.end() : own.segments.lower_bound(segments.end);
  segments_ -= static_cast<std::size_t>(std::distance(from, to));
  own.segments.erase(from, to);
  own.void_segments.add(segments);
  unsettled_.insert(id);
}

// After forget(), which loaded the segments or made them void: this cannot fail.
void SumTable::set(ObjectId id, std::uint64_t first, const std::vector<std::uint32_t>& sums) {
  Segment* found = nullptr;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::uint64_t at = (first + i) % kSegmentBlocks;
    if (found == nullptr || at == 0) {
      if (!segment(id, (first + i) / kSegmentBlocks, &found).ok()) return;
      const std::size_t needed = std::min<std::size_t>(kSegmentBlocks, at + sums.size() - i);
      if (found->blocks.size() < needed) found->blocks.resize(needed);
      change(id, *found);
    }
    found->blocks[at].sum = sums[i];
    found->blocks[at].known = true;
  }
}

Status SumTable::adopt(ObjectId id, std::uint64_t first, const std::vector<BlockSum>& sums) {
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (!sums[i].known) continue;
    Segment* found = nullptr;
    if (const Status status = segment(id, (first + i) / kSegmentBlocks, &found); !status.ok()) return status;
    const std::uint64_t at = (first + i) % kSegmentBlocks;
    object(id).has_clean = true;
    if (found->blocks.size() > at && found->blocks[at].known) continue;
    set(id, first + i, {sums[i].sum});
  }
  return kOk;
}

void SumTable::forget_all(ObjectId id) {
  Object& own = object(id);
  segments_ -= own.segments.size();
  own.segments.clear();
  if (!own.born) {
    own.void_segments.add({0, Ranges::kNoEnd});
    unsettled_.insert(id);
  } else {
    own.void_segments.clear();
    unsettled_.erase(id);
  }
  drop_unneeded(id);
}

Status SumTable::has_records(ObjectId id, bool* has) {
  const auto found = objects_.find(id);
  *has = found != objects_.end();
  return *has ? kOk : index_has(id, 0, Ranges::kNoEnd, has);
}

void SumTable::born(ObjectId id) { object(id).born = true; }

Status SumTable::capture_object(ObjectId id, std::vector<SumEdit>* edits) {
  Object& own = object(id);
  bool all = true;
  for (auto& [number, found] : own.segments) {
    if (!found.changed) continue;
    if (edits->size() >= kEditsMax) {
      all = false;
      break;
    }
    SumEdit edit;
    edit.key = segment_key(id, number);
    edit.value = segment_value(edit.key, found.blocks);
    edits->push_back(std::move(edit));
    found.changed = false;
    found.committing = true;
    for (BlockSum& block : found.blocks) block.stored = block.known;
    own.born = false;
  }
  committing_.insert(id);
  if (!all) return kOk;
  if (!own.void_segments.empty()) {
    if (const Status status = capture_void(id, own, edits); !status.ok()) return status;
    if (!own.void_segments.empty()) return kOk;
  }
  if (own.holders != 0 || rests(own)) return kOk;
  unsettled_.erase(id);
  if (own.marked.empty()) return kOk;
  edits->push_back({mark_key(id), {}});
  own.marked_before = own.marked;
  own.marked.clear();
  return kOk;
}

// Records of segments that mean nothing are erased; void_segments is empty when all of them are.
Status SumTable::capture_void(ObjectId id, Object& own, std::vector<SumEdit>* edits) {
  Look look(*index_);
  if (!look.status().ok()) return look.status();
  for (const Range& run : own.void_segments.runs()) {
    const std::string from = segment_key(id, run.begin);
    Bytes key;
    Bytes value;
    Status status = look->seek(view(from), &key, &value);
    ObjectId found;
    std::uint64_t number = 0;
    for (; status.ok() && parse_segment_key(key, &found, &number) && found == id && number < run.end;
         status = look->next(&key, &value)) {
      const auto known = own.segments.find(number);
      if (known != own.segments.end() && (known->second.committing || known->second.changed)) continue;
      if (edits->size() >= kEditsMax) return kOk;
      edits->push_back({std::string(key.view()), {}});
    }
    if (!status.ok() && status.code != Code::not_found) return status;
  }
  own.void_before = own.void_segments;
  own.void_segments.clear();
  return kOk;
}

void SumTable::commit_ended(bool committed) {
  for (auto& [id, ranges] : marking_) {
    if (committed) object(id).marked = ranges;
    object(id).changed_round = round_;
    unsettled_.insert(id);
  }
  marking_.clear();
  std::set<ObjectId> ended;
  ended.swap(committing_);
  for (const ObjectId id : ended) {
    Object& own = object(id);
    for (auto& [number, found] : own.segments) {
      if (found.committing && !committed) change(id, found);
      found.committing = false;
    }
    own.has_clean = true;
    if (!committed) {
      own.void_segments.add(own.void_before);
      own.marked.add(own.marked_before);
      unsettled_.insert(id);
    }
    own.void_before.clear();
    own.marked_before.clear();
    drop_unneeded(id);
  }
}

// What is overwritten is mostly overwritten again soon: its marks stay for a while.
bool SumTable::rests(const Object& own) const {
  const bool few = objects_.size() <= kRestingMax;
  return !own.marked.empty() && few && rests_ && round_ - own.changed_round < kRestRounds;
}

bool SumTable::has_work(ObjectId id, bool erasing) const {
  const Object& own = objects_.at(id);
  return has_changed(id) ? !erasing : !own.void_segments.empty() || !rests(own);
}

bool SumTable::has_changed(ObjectId id) const {
  const Object& own = objects_.at(id);
  return std::any_of(own.segments.begin(), own.segments.end(), [](const auto& entry) { return entry.second.changed; });
}

void SumTable::give_up() {
  for (auto& [id, own] : objects_) {
    for (auto at = own.segments.begin(); at != own.segments.end();) {
      const auto& [number, found] = *at;
      if (found.committing || !found.changed) {
        ++at;
        continue;
      }
      if (own.marked.contains(number)) own.void_segments.add({number, number + 1});
      at = own.segments.erase(at);
      --segments_;
    }
  }
}

void SumTable::drop_unneeded(ObjectId id) {
  const auto found = objects_.find(id);
  if (found == objects_.end()) return;
  Object& own = found->second;
  if (own.holders != 0 || committing_.contains(id)) return;
  // There may be many segments, and this comes with every op.
  if (own.has_clean) {
    segments_ -= std::erase_if(own.segments,
                               [](const auto& entry) { return !entry.second.changed && !entry.second.committing; });
    own.has_clean = false;
  }
  const bool needed = unsettled_.contains(id) || !own.segments.empty() || !own.marked.empty() ||
                      !own.void_segments.empty() || wanted_.contains(id) || marking_.contains(id);
  if (!needed) objects_.erase(found);
}

}  // namespace rideau::raw_file
