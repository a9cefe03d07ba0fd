// SPDX-License-Identifier: Apache-2.0
// What a store lends while it waits: a commit of sums and marks, and the time until the next one.
#pragma once

#include "../shared/lent_call.hpp"
#include "rideau/index_store.hpp"
#include "store.hpp"

#include <vector>

namespace rideau::raw_file {

struct SumCommit final : backend::LentCall {
  RawFileStore* store = nullptr;
  std::vector<SumEdit> changes;
  std::vector<Edit> edits;
  IndexBatch batch{};
  OpList waiting;  // for its marks
  void (RawFileStore::*then)(Status) noexcept = nullptr;
};

struct SumTimer final : backend::LentCall {
  RawFileStore* store = nullptr;
};

}  // namespace rideau::raw_file
