// SPDX-License-Identifier: Apache-2.0
#include "sum_table.hpp"

#include <algorithm>

namespace rideau::raw_file {
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

Range segments_of(std::uint64_t first, std::uint64_t last) {
  return {first / kSegmentBlocks, last >= SumTable::kLastBlock ? Ranges::kNoEnd : last / kSegmentBlocks + 1};
}

}  // namespace

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
  if (wanted.end != Ranges::kNoEnd) wanted.end += (kMarkedAtOnce - wanted.end % kMarkedAtOnce) % kMarkedAtOnce;
  wanted_[id].add(wanted);
}

void SumTable::hold(ObjectId id) { ++object(id).holders; }

void SumTable::release(ObjectId id) {
  --object(id).holders;
  drop_unneeded(id);
}

void SumTable::change(ObjectId id, Segment& segment) {
  segment.changed = true;
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
  if (own.holders != 0) return kOk;
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
  segments_ -=
      std::erase_if(own.segments, [](const auto& entry) { return !entry.second.changed && !entry.second.committing; });
  const bool needed = unsettled_.contains(id) || !own.segments.empty() || !own.marked.empty() ||
                      !own.void_segments.empty() || wanted_.contains(id) || marking_.contains(id);
  if (!needed) objects_.erase(found);
}

}  // namespace rideau::raw_file
