// SPDX-License-Identifier: Apache-2.0
// What a target has acknowledged and may still lose: bytes stay in the cache until they are durable, and are sent again
// after a restart that lost them.
#include "plugins/client/file_data_impl.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>
#include <utility>

namespace rideau::client {

namespace {

bool any_in(const std::set<std::uint64_t>& indexes, std::uint64_t begin, std::uint64_t end) {
  const auto first = indexes.lower_bound(begin / kBlockBytes);
  return first != indexes.end() && *first <= (end - 1) / kBlockBytes;
}

}  // namespace

std::uint64_t FileData::Impl::note_change(std::uint32_t stripe) {
  StripeState& state = stripes[stripe];
  DataTarget* target = target_of(stripe);
  if (target != nullptr && state.unstable_since_ns == 0) {
    state.unstable_since_ns = plane.runtime.now_ns();
    plane.became_unstable(*target, {state.unstable_since_ns, inode, stripe});
  }
  return ++state.changes;
}

void FileData::Impl::covered(std::uint32_t stripe, std::uint64_t change) {
  StripeState& state = stripes[stripe];
  state.durable = std::max(state.durable, change);
  std::erase_if(state.reshapes, [&state](const Reshape& one) { return one.number <= state.durable; });
  if (state.durable < state.changes || state.unstable_since_ns == 0) return;
  target_of(stripe)->unstable.erase({std::exchange(state.unstable_since_ns, 0), inode, stripe});
}

void FileData::Impl::forget_durable() {
  for (auto at = unstable_blocks.begin(); at != unstable_blocks.end();) {
    const std::uint64_t index = *at++;
    Block& block = *blocks.find(index);
    if (block.unstable_change > stripes[striping.stripe_at(index * kBlockBytes)].durable) continue;
    change_unstable(index, block, [](ByteRanges& unstable) { unstable.clear(); });
    blocks.settle(index);
  }
  plane.cache.make_room();
  if (idle() || nameless) plane.candidates.insert(inode);
}

bool FileData::Impl::dirty(std::uint64_t begin, std::uint64_t end) const noexcept {
  return any_in(dirty_blocks, begin, end) || any_in(sending_blocks, begin, end);
}

bool FileData::Impl::settled(std::uint64_t begin, std::uint64_t end) const noexcept {
  return !dirty(begin, end) && !any_in(unstable_blocks, begin, end) &&
         std::all_of(stripes.begin(), stripes.end(), [](const StripeState& state) {
           return state.reshapes.empty() && state.blind <= state.durable && !state.remaking;
         });
}

bool FileData::Impl::settled() const noexcept {
  return !dirty() && std::all_of(stripes.begin(), stripes.end(), [](const StripeState& state) {
    return state.durable >= state.changes && !state.remaking;
  });
}

void FileData::Impl::give_up_unstable(Status status) {
  keep_error(status);
  forget_reshapes();
  forget_all_unstable();
}

void FileData::Impl::give_up_unstable(Status status, std::uint64_t begin, std::uint64_t end) {
  if (begin == 0 && end == ~0ull) return give_up_unstable(status);
  keep_error(status);
  for (StripeState& state : stripes) {
    if (!state.reshapes.empty()) state.blind = state.changes;
  }
  forget_reshapes();
  for (auto at = unstable_blocks.lower_bound(begin / kBlockBytes); at != unstable_blocks.end();) {
    const std::uint64_t index = *at++;
    if (index > (end - 1) / kBlockBytes) break;
    forget_unstable(index, *blocks.find(index), 0, kBlockBytes);
    blocks.settle(index);
  }
}

void FileData::Impl::acknowledged(std::uint64_t index, Block& block, std::uint32_t begin, std::uint32_t end) {
  block.unstable_change = stripes[striping.stripe_at(index * kBlockBytes)].changes;
  const bool all = block.sending.list().size() == 1 && block.sending.list().front() == ByteRange{begin, end};
  if (all && block.unstable.empty()) {
    std::swap(block.unstable, block.sending);
    plane.unstable_total += end - begin;
    unstable_blocks.insert(sending_blocks.extract(index));
    return;
  }
  block.sending.remove(begin, end);
  if (block.sending.empty()) sending_blocks.erase(index);
  change_unstable(index, block, [begin, end](ByteRanges& unstable) { unstable.add(begin, end); });
}

void FileData::Impl::acknowledged(const Segment& segment) {
  for (std::uint64_t at = segment.file_offset; at < segment.file_offset + segment.size;) {
    const std::uint64_t index = at / kBlockBytes;
    const std::uint64_t stop = std::min((index + 1) * kBlockBytes, segment.file_offset + segment.size);
    Block& block = *blocks.find(index);
    block.unstable_change = stripes[segment.stripe].changes;
    const auto from = static_cast<std::uint32_t>(at - index * kBlockBytes);
    const auto to = static_cast<std::uint32_t>(stop - index * kBlockBytes);
    change_unstable(index, block, [from, to](ByteRanges& unstable) { unstable.add(from, to); });
    blocks.settle(index);
    at = stop;
  }
}

// Bytes that nobody can send again: after a write over them that failed, or with the lock.
void FileData::Impl::forget_unstable(std::uint64_t index, Block& block, std::uint32_t begin, std::uint32_t end) {
  if (block.unstable.count(begin, end) == 0) return;
  StripeState& stripe = stripes[striping.stripe_at(index * kBlockBytes)];
  stripe.blind = std::max(stripe.blind, block.unstable_change);
  change_unstable(index, block, [begin, end](ByteRanges& unstable) { unstable.remove(begin, end); });
}

void FileData::Impl::forget_all_unstable() {
  while (!unstable_blocks.empty()) {
    const std::uint64_t index = *unstable_blocks.begin();
    forget_unstable(index, *blocks.find(index), 0, kBlockBytes);
    blocks.settle(index);
  }
  for (std::uint32_t stripe = 0; stripe < stripes.size(); ++stripe) covered(stripe, stripes[stripe].changes);
}

bool FileData::Impl::send_again(fs::TargetId id) {
  bool all_here = true;
  for (std::uint32_t stripe = 0; stripe < stripes.size(); ++stripe) {
    StripeState& state = stripes[stripe];
    if (striping.target(stripe) != id) continue;
    all_here = all_here && state.blind <= state.durable;
    std::vector<Reshape> lost = std::exchange(state.reshapes, {});
    covered(stripe, state.changes);  // what is to be made again has a number of its own then
    state.reshapes = std::move(lost);
    if (!state.reshapes.empty() || state.remaking) remake(stripe);
  }
  for (auto at = unstable_blocks.begin(); at != unstable_blocks.end();) {
    const std::uint64_t index = *at;
    if (striping.target(striping.stripe_at(index * kBlockBytes)) != id) {
      ++at;
      continue;
    }
    ++at;
    make_dirty_again(index, *blocks.find(index));
    blocks.settle(index);
  }
  return all_here;
}

void FileData::Impl::make_dirty_again(std::uint64_t index, Block& block) {
  ByteRanges again;
  change_unstable(index, block, [&again](ByteRanges& unstable) { std::swap(again, unstable); });
  // What was written anew, or is on its way once more, comes to the target by itself.
  for (const ByteRanges* newer : {&block.dirty, &block.sending}) {
    for (const ByteRange& range : newer->list()) again.remove(range.begin, range.end);
  }
  const std::uint64_t base = index * kBlockBytes;
  for (const Range& range : through) {
    if (!range.overlaps(base, base + kBlockBytes)) continue;
    again.remove(static_cast<std::uint32_t>(std::max(range.begin, base) - base),
                 static_cast<std::uint32_t>(std::min(range.end, base + kBlockBytes) - base));
  }
  if (again.empty() || RIDEAU_PLANTED_BUG(sends_nothing_again)) return;
  RIDEAU_MARK(bytes_sent_again);
  if (block.dirty.empty()) dirty_blocks.insert(index);
  block.dirty_stamp = 0;  // older than any flush: one that is under way must not end without them
  std::uint64_t bytes = 0;
  for (const ByteRange& range : again.list()) {
    block.dirty.add(range.begin, range.end);
    bytes += range.end - range.begin;
  }
  if (dirty_bytes == 0) plane.became_dirty(*this);
  dirty_bytes += bytes;
  plane.dirty_total += bytes;
}

std::uint64_t FileData::Impl::epochs() const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t stripe = 0; stripe < striping.stripe_count(); ++stripe) {
    const DataTarget* target = plane.target(striping.target(stripe));
    if (target != nullptr) sum += target->epoch;
  }
  return sum;
}

}  // namespace rideau::client
