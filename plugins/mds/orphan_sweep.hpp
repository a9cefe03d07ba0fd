// SPDX-License-Identifier: Apache-2.0
// OrphanSweep: destroys the objects of files whose create a crash lost. A client may write bytes of a file before its
// create is durable; when the metadata target crashes in between, an object is left that no file owns. The target
// knows which inode numbers it gave away since its last durable commit, so only objects with such numbers are looked
// for. Twice: at the start, and once more when no client of the last epoch can have a write on its way. Until then the
// superblock remembers where to look, so that a crash in between repeats it.
#pragma once

#include "plugins/mds/options.hpp"
#include "plugins/mds/rest.hpp"
#include "plugins/mds/target.hpp"

namespace rideau::mds {

class OrphanSweep {
 public:
  OrphanSweep(Target& target, ObjectTargets& calls);

  // Runs until it is done or stop(). No create of this start has a number below `end_counter`.
  Task<> run(std::uint64_t end_counter);
  void stop();

 private:
  Task<> sweep_until_done(std::uint64_t end_counter);
  Task<Status> sweep(fs::TargetId from, fs::InodeId first, fs::InodeId end);

  Target& target_;
  ObjectTargets& calls_;
  Rest rest_;
  std::uint64_t destroyed_ = 0;
};

}  // namespace rideau::mds
