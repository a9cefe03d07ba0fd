// SPDX-License-Identifier: Apache-2.0
// The cache of file data: blocks of 64 KiB with the exact ranges that are valid, dirty and on their way to a target.
// One BlockMap a file, one DataCache for all of them: it counts memory and evicts what was not used for longest.
#pragma once

#include "plugins/client/data_buffer.hpp"
#include "plugins/client/data_ranges.hpp"

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace rideau::client {

class BlockMap;

struct Block {
  std::shared_ptr<Buffer> buffer;     // covers what is valid
  ByteRanges valid;                   // includes dirty and sending
  ByteRanges dirty;                   // must still be sent
  ByteRanges sending;                 // as it was when its request was made
  ByteRanges unstable;                // acknowledged by the target, which may lose it still; all of it is valid
  std::uint64_t unstable_change = 0;  // of the stripe, that acknowledged the last of it
  std::uint64_t dirty_stamp = 0;      // of the oldest dirty byte (FileData counts)
  std::uint64_t sending_stamp = 0;
  std::uint32_t pins = 0;  // must not be evicted
  bool listed = false;
  std::list<std::pair<BlockMap*, std::uint64_t>>::iterator place{};

  // What the dirty bytes may use at a target, which counts pages.
  std::uint64_t dirty_space() const noexcept { return std::uint64_t{dirty.units(kPageBytes)} * kPageBytes; }
  // What a target may still lose stays, so that it can be sent again.
  bool evictable() const noexcept { return pins == 0 && dirty.empty() && sending.empty() && unstable.empty(); }
};

class DataCache {
 public:
  // `on_empty` is told the owner of a map whose last block was evicted.
  // `memory`, where it is not null, outlives the buffers.
  DataCache(std::uint64_t bytes_max, LendableMemory* memory, std::function<void(std::uint64_t)> on_empty)
      : pool_(std::make_shared<BufferPool>(bytes_max, memory)), on_empty_(std::move(on_empty)) {}

  // For bytes of a block from `begin` to `end`.
  std::shared_ptr<Buffer> make_buffer(std::uint32_t begin, std::uint32_t end);
  // Of full size, for somebody who fills it and may give it to a block then: it counts from there on.
  std::shared_ptr<Buffer> lend_buffer() { return std::make_shared<Buffer>(pool_, 0, kBlockBytes, false); }
  void make_room();
  // More than its size is in use, and nothing can be evicted.
  bool stuck() const noexcept { return pool_->bytes > bytes_max() && unused_.empty(); }
  std::uint64_t bytes() const noexcept { return pool_->bytes; }
  std::uint64_t bytes_max() const noexcept { return pool_->bytes_max; }
  // Evicts what is too much from now on.
  void resize(std::uint64_t bytes_max);

  // Of the system, kept for what comes next included.
  std::uint64_t memory() const noexcept { return pool_->bytes + pool_->spare.size() * kBlockBytes; }
  // How many spare buffers nobody needed since this was last asked.
  std::uint64_t take_unneeded() noexcept { return std::exchange(pool_->spare_least, pool_->spare.size()); }
  // Gives as many spare buffers back to the system, or those that there are. Returns how many.
  std::uint64_t give_up(std::uint64_t buffers) noexcept;

 private:
  friend class BlockMap;
  std::shared_ptr<BufferPool> pool_;
  std::function<void(std::uint64_t)> on_empty_;
  std::list<std::pair<BlockMap*, std::uint64_t>> unused_;  // blocks that can be evicted, used last at the front
};

class BlockMap {
 public:
  BlockMap(DataCache& cache, std::uint64_t owner) : cache_(cache), owner_(owner) {}
  ~BlockMap();
  BlockMap(const BlockMap&) = delete;
  BlockMap& operator=(const BlockMap&) = delete;

  bool empty() const noexcept { return blocks_.empty(); }
  Block* find(std::uint64_t index) noexcept;
  // Makes the block when needed. The caller changes it and then calls settle().
  Block& get(std::uint64_t index) { return blocks_[index]; }
  // After a change of a block: it becomes evictable, or is no longer, or goes when nothing is left in it.
  void settle(std::uint64_t index);
  // A pinned block stays where it is, and is made when needed.
  Block& pin(std::uint64_t index);
  void unpin(std::uint64_t index, Block& block);
  // Memory for bytes of the block from `begin` to `end` that nobody else reads.
  std::uint8_t* writable(Block& block, std::uint32_t begin, std::uint32_t end);
  // Forgets what is neither dirty nor being sent nor unstable.
  void drop_clean();
  void drop_clean(std::uint64_t index, Block& block);
  // Every block from an index on; the visit may let its own block go.
  template <class Visit>
  void each_from(std::uint64_t first, Visit visit) {
    for (auto at = blocks_.lower_bound(first); at != blocks_.end();) {
      const std::uint64_t index = at->first;
      Block& block = at->second;
      ++at;
      visit(index, block);
    }
  }

 private:
  friend class DataCache;
  void settle(std::uint64_t index, Block& block);
  void unlist(Block& block) noexcept;
  DataCache& cache_;
  std::uint64_t owner_;
  std::map<std::uint64_t, Block> blocks_;
};

}  // namespace rideau::client
