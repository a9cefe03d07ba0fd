// SPDX-License-Identifier: Apache-2.0
// Destroyer: sees to it that the objects of removed files go, for certain. An unlink leaves a record of them in its own
// transaction; this task reads the records that are durable, asks the object targets, and erases a record when all its
// objects are gone. A crash at any point repeats a step that may be repeated.
#pragma once

#include "plugins/fs/records.hpp"
#include "plugins/mds/options.hpp"
#include "plugins/mds/rest.hpp"
#include "plugins/mds/target.hpp"

#include <map>
#include <vector>

namespace rideau::mds {

class Destroyer {
 public:
  Destroyer(Target& target, ObjectTargets& calls);

  // Runs until stop().
  Task<> run();
  void stop();

 private:
  struct Batch {
    std::vector<fs::Key> records;
    std::map<fs::TargetId, std::vector<ObjectId>> objects;
    fs::Key last{fs::KeyKind::destroy};  // the greatest key that was read
    bool end = false;
  };
  Status read_batch(const fs::Key& after, Batch* batch);
  Task<Status> destroy_batch(Batch& batch);
  Task<Status> pass();

  Target& target_;
  ObjectTargets& calls_;
  Rest rest_;
};

}  // namespace rideau::mds
