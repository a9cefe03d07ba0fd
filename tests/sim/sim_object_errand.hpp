// SPDX-License-Identifier: Apache-2.0
// One pending call of a simulated object store: a sleep of its instance. Private to the simulated object store.
#pragma once

#include "tests/sim/sim_object_disk.hpp"

namespace rideau::sim {

struct SimObjectDisk::Errand : Completion {
  enum class Kind : std::uint8_t { read, write, truncate, punch, remove, stat, list, flush, stop };

  SimObjects* store = nullptr;  // null: the instance is gone, or the call was ended early
  SimObjectDisk* disk = nullptr;
  Kind kind = Kind::read;
  Completion* done = nullptr;
  ObjectId id;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::vector<IoVec> parts;
  ObjectStat* stat_out = nullptr;
  bool from_first = true;
  ObjectId* list_out = nullptr;
  std::vector<Captured> captured;
};

}  // namespace rideau::sim
