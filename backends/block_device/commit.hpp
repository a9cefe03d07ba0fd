// SPDX-License-Identifier: Apache-2.0
// One commit of the map. On the heap and apart from the store: the index may complete it after the store was destroyed.
#pragma once

#include "device.hpp"
#include "free_space.hpp"
#include "object_map.hpp"
#include "rideau/index_store.hpp"

#include <vector>

namespace rideau::block_device {

class BlockStore;

struct Commit : Completion {
  BlockStore* store = nullptr;  // null: gone
  Captured captured;
  std::vector<Run> released;         // free when this is durable
  std::vector<Completion*> flushes;  // that wait for it
  Request request;                   // the flush of the device
  std::size_t next_change = 0;
  std::size_t sent = 0;  // changes of the portion that is with the index
  std::vector<Edit> edits;
  IndexBatch batch{};
  bool with_index = false;

  // Gives up a commit whose store goes: freed at once, or when the index has done with it.
  static void abandon(Commit* commit) noexcept;
  // For Completion::resume of a commit whose store is gone.
  static void free_abandoned(Commit* commit) noexcept;
};

}  // namespace rideau::block_device
