// SPDX-License-Identifier: Apache-2.0
// Bytes that a target has acknowledged and may still lose: as long as the cache has them they are sent again after a
// restart that lost them. Nothing is kept for this alone: what is evicted, or goes with the lock, is counted as gone.
#include "plugins/client/file_data_impl.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>
#include <utility>

namespace rideau::client {

void FileData::Impl::acknowledged(std::uint64_t index, Block& block, std::uint32_t begin, std::uint32_t end) {
  block.unstable_change = stripes[striping.stripe_at(index * kBlockBytes)].changes;
  const bool all = block.sending.list().size() == 1 && block.sending.list().front() == ByteRange{begin, end};
  if (all && block.unstable.empty()) {
    std::swap(block.unstable, block.sending);
    unstable_blocks.insert(sending_blocks.extract(index));
    return;
  }
  block.sending.remove(begin, end);
  if (block.sending.empty()) sending_blocks.erase(index);
  block.unstable.add(begin, end);
  unstable_blocks.insert(index);
}

void FileData::Impl::acknowledged(const Segment& segment) {
  for (std::uint64_t at = segment.file_offset; at < segment.file_offset + segment.size;) {
    const std::uint64_t index = at / kBlockBytes;
    const std::uint64_t stop = std::min((index + 1) * kBlockBytes, segment.file_offset + segment.size);
    Block& block = *blocks.find(index);
    block.unstable_change = stripes[segment.stripe].changes;
    block.unstable.add(static_cast<std::uint32_t>(at - index * kBlockBytes),
                       static_cast<std::uint32_t>(stop - index * kBlockBytes));
    unstable_blocks.insert(index);
    at = stop;
  }
}

void FileData::Impl::forget_unstable(std::uint64_t index, Block& block, std::uint32_t begin, std::uint32_t end) {
  if (block.unstable.count(begin, end) == 0) return;
  StripeState& stripe = stripes[striping.stripe_at(index * kBlockBytes)];
  stripe.blind = std::max(stripe.blind, block.unstable_change);
  block.unstable.remove(begin, end);
  if (block.unstable.empty()) unstable_blocks.erase(index);
}

void FileData::Impl::forget_all_unstable() {
  while (!unstable_blocks.empty()) {
    const std::uint64_t index = *unstable_blocks.begin();
    forget_unstable(index, *blocks.find(index), 0, kBlockBytes);
  }
}

void FileData::Impl::became_durable(const std::vector<std::uint32_t>& own, const std::vector<std::uint64_t>& covered) {
  for (std::size_t i = 0; i < own.size(); ++i) {
    stripes[own[i]].durable = std::max(stripes[own[i]].durable, covered[i]);
  }
  for (auto at = unstable_blocks.begin(); at != unstable_blocks.end();) {
    Block& block = *blocks.find(*at);
    if (block.unstable_change > stripes[striping.stripe_at(*at * kBlockBytes)].durable) {
      ++at;
      continue;
    }
    block.unstable.clear();
    at = unstable_blocks.erase(at);
  }
}

bool FileData::Impl::send_again(fs::TargetId id) {
  bool all_here = true;
  for (std::uint32_t stripe = 0; stripe < stripes.size(); ++stripe) {
    if (striping.target(stripe) != id) continue;
    all_here = all_here && stripes[stripe].blind <= stripes[stripe].durable;
    stripes[stripe].durable = stripes[stripe].changes;  // what is to be made again has a number of its own then
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
  ByteRanges again = std::exchange(block.unstable, {});
  unstable_blocks.erase(index);
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
  if (block.dirty.empty()) {
    block.dirty_stamp = stamp;
    dirty_blocks.insert(index);
  }
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
