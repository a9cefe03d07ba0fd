// SPDX-License-Identifier: Apache-2.0
// One commit of the map.
#pragma once

#include "../shared/lent_call.hpp"
#include "device.hpp"
#include "free_space.hpp"
#include "object_map.hpp"
#include "rideau/index_store.hpp"

#include <vector>

namespace rideau::block_device {

class BlockStore;

struct Commit final : backend::LentCall {
  BlockStore* store = nullptr;
  Captured captured;
  std::vector<Run> released;         // free when this is durable
  std::vector<Completion*> flushes;  // that wait for it
  Request request;                   // the flush of the device
  std::size_t next_change = 0;
  std::size_t sent = 0;  // changes of the portion that is with the index
  std::vector<Edit> edits;
  IndexBatch batch{};
};

// Changes that nobody flushes are committed when they are so old.
struct CommitTimer final : backend::LentCall {
  BlockStore* store = nullptr;
};

}  // namespace rideau::block_device
