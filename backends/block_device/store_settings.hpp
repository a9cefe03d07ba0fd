// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace rideau::block_device {

struct StoreSettings {
  std::uint32_t queue_depth = 32;
  std::uint64_t map_cache_bytes = 64 << 20;
  std::uint64_t small_object_max = 4096;     // bytes, at most kSmallBytesMax; 0: every byte goes to blocks
  std::uint64_t deferred_write_max = 1024;   // bytes, of a write over parts of blocks; 0: each writes its blocks
  std::uint64_t dirty_records_max = 65'536;  // of the map in memory alone; a commit begins at a quarter
  std::size_t portion_edits = 500;           // in one call to the index
  std::size_t portion_stretch = 8;           // so many times as much when it is all of one object
};

}  // namespace rideau::block_device
