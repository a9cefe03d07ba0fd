// SPDX-License-Identifier: Apache-2.0
// See data_cache.hpp.
#include "plugins/client/data_cache.hpp"

#include "framework/base/assert.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace rideau::client {

std::shared_ptr<Buffer> DataCache::make_buffer(std::uint32_t begin, std::uint32_t end) {
  RIDEAU_ASSERT(begin <= end && end <= kBlockBytes);
  const std::uint32_t first = begin / kBufferBytesMin * kBufferBytesMin;
  const std::uint32_t capacity = std::bit_ceil(std::max(end - first, kBufferBytesMin));
  return std::make_shared<Buffer>(pool_, std::min(first, kBlockBytes - capacity), capacity, true);
}

void DataCache::make_room() {
  while (pool_->bytes > bytes_max() && !unused_.empty()) {
    const auto [map, index] = unused_.back();
    unused_.pop_back();
    map->blocks_.erase(index);
    if (map->blocks_.empty()) on_empty_(map->owner_);
  }
}

void DataCache::resize(std::uint64_t bytes_max) {
  pool_->bytes_max = bytes_max;
  make_room();
}

std::uint64_t DataCache::give_up(std::uint64_t buffers) noexcept {
  std::vector<std::uint8_t*>& spare = pool_->spare;
  const std::uint64_t count = std::min<std::uint64_t>(buffers, spare.size());
  // Those that were used last are in the processor's cache, and stay.
  for (std::uint64_t i = 0; i < count; ++i) pool_->release(spare[i], kBlockBytes);
  spare.erase(spare.begin(), spare.begin() + static_cast<std::ptrdiff_t>(count));
  pool_->spare_least = std::min<std::size_t>(pool_->spare_least, spare.size());
  return count;
}

BlockMap::~BlockMap() {
  for (auto& [index, block] : blocks_) unlist(block);
}

Block* BlockMap::find(std::uint64_t index) noexcept {
  const auto found = blocks_.find(index);
  return found == blocks_.end() ? nullptr : &found->second;
}

void BlockMap::unlist(Block& block) noexcept {
  if (block.listed) cache_.unused_.erase(block.place);
  block.listed = false;
}

void BlockMap::settle(std::uint64_t index) {
  if (Block* block = find(index); block != nullptr) settle(index, *block);
}

void BlockMap::settle(std::uint64_t index, Block& block) {
  unlist(block);
  if (!block.evictable()) return;
  if (block.valid.empty()) {
    blocks_.erase(index);
    return;
  }
  cache_.unused_.emplace_front(this, index);
  block.place = cache_.unused_.begin();
  block.listed = true;
}

Block& BlockMap::pin(std::uint64_t index) {
  Block& block = blocks_[index];
  ++block.pins;
  unlist(block);
  return block;
}

void BlockMap::unpin(std::uint64_t index, Block& block) {
  RIDEAU_ASSERT(block.pins > 0);
  --block.pins;
  settle(index, block);
}

std::uint8_t* BlockMap::writable(Block& block, std::uint32_t begin, std::uint32_t end) {
  if (block.buffer != nullptr && block.buffer.use_count() == 1 && block.buffer->covers(begin, end)) {
    return block.buffer->at(begin);
  }
  const std::vector<ByteRange>& valid = block.valid.list();
  const std::uint32_t first = valid.empty() ? begin : std::min(begin, valid.front().begin);
  const std::uint32_t last = valid.empty() ? end : std::max(end, valid.back().end);
  std::shared_ptr<Buffer> fresh = cache_.make_buffer(first, last);
  for (const ByteRange& range : valid) {
    std::memcpy(fresh->at(range.begin), block.buffer->at(range.begin), range.end - range.begin);
  }
  block.buffer = std::move(fresh);
  return block.buffer->at(begin);
}

void BlockMap::drop_clean() {
  each_from(0, [this](std::uint64_t index, Block& block) { drop_clean(index, block); });
}

void BlockMap::drop_clean(std::uint64_t index, Block& block) {
  block.valid = block.dirty;
  for (const ByteRanges* kept : {&block.sending, &block.unstable}) {
    for (const ByteRange& range : kept->list()) block.valid.add(range.begin, range.end);
  }
  settle(index, block);
}

}  // namespace rideau::client
