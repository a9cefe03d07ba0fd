// SPDX-License-Identifier: Apache-2.0
// Where blocks come from and when they are free again.
//
// A writer that goes on where it ended gets a window: blocks behind each other that nobody else takes, so that many
// writers at once leave long runs. Windows count as free, and go when there is little else.
#include "store.hpp"

#include <algorithm>

namespace rideau::block_device {
namespace {

constexpr std::size_t kWindowsMax = 64;
constexpr std::uint64_t kDiscardBlocksMin = 16;  // shorter runs are used again sooner than a device profits
constexpr std::uint64_t kRecordBytes = 6 << 10;  // the most that one record takes in an index, about

}  // namespace

// What the index must have free when this comes on top of what is not committed.
std::uint64_t BlockStore::index_bytes(std::uint64_t records, std::uint64_t small_bytes) const noexcept {
  return (map_.dirty_records() + records) * kRecordBytes + map_.bytes_held() + small_bytes;
}

BlockStore::Room BlockStore::room_for(const Need& need) noexcept {
  const std::uint64_t unused = free_.count() + window_blocks_;
  const std::uint64_t spare = unused - std::min(unused, reserve_ + small_blocks_ - need.owed);
  const bool blocks = (need.fresh == 0 || need.fresh <= spare) && need.fresh + need.replaced <= unused;
  const auto has_records = [&] { return index_bytes(need.records, need.small_bytes) <= index_room_; };
  bool map = need.records == 0 || has_records();
  if (!map) {
    // Others use the index too, and may have left room since it was last asked.
    learn_index_room();
    map = has_records();
  }
  if (blocks && map) return Room::yes;
  const bool blocks_come = commit_ != nullptr || !released_.empty() || discarding_ != 0;
  const bool map_comes = commit_ != nullptr || !map_.clean();
  return (blocks || blocks_come) && (map || map_comes) ? Room::wait : Room::no;
}

// room_for() said that there are so many.
void BlockStore::take_blocks(Object& object, std::uint64_t count, std::uint64_t index, std::vector<Run>& out) noexcept {
  const std::uint64_t window = std::clamp<std::uint64_t>(blocks_total_ / 256, 16, 1024);
  const bool goes_on = object.next_index != 0 && object.next_index == index;
  object.next_index = index + count;
  while (count != 0) {
    if (object.window.count != 0) {
      const Run run{object.window.place, std::min(count, object.window.count)};
      object.window = {run.place + run.count, object.window.count - run.count};
      window_blocks_ -= run.count;
      if (object.window.count == 0) std::erase(windows_, object.id);
      out.push_back(run);
      count -= run.count;
      continue;
    }
    if (goes_on && free_.count() > reserve_ + 2 * window) {
      object.window = free_.take_window(std::max(count, window), object.next_place);
      window_blocks_ += object.window.count;
      windows_.push_back(object.id);
      if (windows_.size() > kWindowsMax) {
        Object* oldest = nullptr;
        if (map_.find(windows_.front(), &oldest).ok() && oldest != &object) {
          drop_window(*oldest);
          map_.release(*oldest);
        }
      }
      continue;
    }
    if (free_.count() < count) drop_windows();
    free_.take(count, object.next_place, out);
    count = 0;
  }
  object.next_place = out.back().place + out.back().count;
}

void BlockStore::drop_window(Object& object) noexcept {
  if (object.window.count == 0) return;
  free_.add(object.window);
  window_blocks_ -= object.window.count;
  object.window = {};
  std::erase(windows_, object.id);
}

void BlockStore::drop_windows() noexcept {
  while (!windows_.empty()) {
    Object* object = nullptr;
    if (!map_.find(windows_.front(), &object).ok()) return;
    drop_window(*object);
    map_.release(*object);
  }
}

// The place of a block that an object has no longer.
void BlockStore::give_up(const Block& block) noexcept {
  if (block.fresh) {
    free_.add({block.place, 1});
    return;
  }
  released_.push_back({block.place, 1});
  ++blocks_released_;
}

// No map names these any more.
void BlockStore::reuse(std::vector<Run> runs) noexcept {
  std::sort(runs.begin(), runs.end(), [](const Run& one, const Run& other) { return one.place < other.place; });
  std::vector<Run> joined;
  for (const Run run : runs) {
    if (!joined.empty() && joined.back().place + joined.back().count == run.place) {
      joined.back().count += run.count;
    } else {
      joined.push_back(run);
    }
  }
  for (const Run run : joined) {
    if (!device_->discards() || run.count < kDiscardBlocksMin) {
      free_.add(run);
      blocks_released_ -= run.count;
      continue;
    }
    // Nobody may write there before the discard has ended.
    auto& discard = *discards_.emplace_back(std::make_unique<Request>());
    discard.kind = Request::Kind::discard;
    discard.offset = run.place * kBlockBytes;
    discard.size = run.count * kBlockBytes;
    discard.owner = this;
    discard.done = [](Request& ended) noexcept { static_cast<BlockStore*>(ended.owner)->discarded(ended); };
    ++discarding_;
    device_->submit(discard);
  }
}

void BlockStore::discarded(Request& request) noexcept {
  const Run run{request.offset / kBlockBytes, request.size / kBlockBytes};
  free_.add(run);
  blocks_released_ -= run.count;
  --discarding_;
  std::erase_if(discards_, [&request](const auto& own) { return own.get() == &request; });
  if (discarding_ == 0) retry_waiting(kOk);
  work();
}

void BlockStore::wait_for_space(Op& op) noexcept {
  space_waiters_.push_back(&op);
  // What is being discarded comes without a commit.
  if (!released_.empty() || !map_.clean()) begin_commit();
}

// With a failed status: nothing comes that they could wait for.
void BlockStore::retry_waiting(Status status) noexcept {
  std::deque<Op*> waiting;
  waiting.swap(space_waiters_);
  for (Op* op : waiting) {
    if (!status.ok()) {
      finish(*op, status, 0);
    } else if (op->kind == Op::Kind::allocate) {
      allocate_range(*op);
    } else {
      start_change(*op);
    }
  }
}

}  // namespace rideau::block_device
