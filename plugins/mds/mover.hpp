// SPDX-License-Identifier: Apache-2.0
// Mover: takes files away from object targets that are drained, while clients work on them. A file moves as a whole:
// its bytes are copied to new objects, under the next generation of its layout, made durable there, and then one
// transaction gives the file its new layout and records the old objects to be destroyed.
//
// Before the first byte is copied, a record says that the new objects are to be destroyed; it goes with the transaction
// that makes them the file's. So whatever dies in between, nothing is left over. Target::moving keeps the destroyer
// from them meanwhile.
//
// What takes long is copied while clients read and write; when somebody was granted the file exclusively meanwhile, the
// copy is made again, at last under a claim that keeps everybody's hands off its bytes. The claim is kept until the new
// layout is durable: nobody writes under a layout that may be lost.
#pragma once

#include "framework/lock/lock_manager.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/mds/divided_files.hpp"
#include "plugins/mds/object_copy.hpp"
#include "plugins/mds/options.hpp"
#include "plugins/mds/rest.hpp"
#include "plugins/mds/target.hpp"

#include <map>
#include <string>
#include <vector>

namespace rideau::mds {

class Mover {
 public:
  Mover(Target& target, ObjectTargets& calls, DividedFiles& files);

  // What is drained, from the index. Before run(), and before anything is placed.
  Status load();
  // Runs until stop().
  Task<> run();
  void stop();

  // Each ends when it is durable. Empty, or why not, for people.
  Task<std::string> begin(fs::TargetId id, std::uint64_t bytes_per_second);
  Task<std::string> cancel(fs::TargetId id);
  Task<std::string> remove(fs::TargetId id);
  std::vector<fs::StatFileSystemReply::Drain> progress() const;

 private:
  // Targets that files leave in one pass; when each drain began, since one may be cancelled and begun anew meanwhile.
  using Leaving = std::map<fs::TargetId, std::uint64_t>;
  struct Facts {  // of a target, beside its record
    std::uint64_t begun = 0;
    std::uint64_t files_left = 0;
    std::string problem;
  };
  // New objects of a file.
  struct Attempt {
    fs::Layout from;
    fs::Layout to;
    std::uint64_t version = 1;
    bool first = true;
  };

  Task<> forget_what_left();
  Leaving leaving() const;
  bool still_leaving(fs::TargetId id, std::uint64_t begun) const;
  static bool lies_on(const fs::Inode& inode, const Leaving& leaving);
  Task<Status> put(fs::TargetId id, fs::DrainRecord record);

  struct Found {
    std::vector<fs::InodeId> inodes;
    std::map<fs::TargetId, std::uint64_t> on;  // how many of them lie on each
    fs::InodeId next = 0;                      // where to go on
    bool end = false;
    Status status{};
  };
  // Looks at so many records of what is durable.
  Found look(fs::InodeId from, const Leaving& leaving);
  Task<Status> count(const Leaving& leaving);
  Task<Status> pass(const Leaving& leaving, std::uint64_t* found);
  Task<> ask_space();
  Task<> move_one(fs::InodeId id, const Leaving& leaving);
  Task<Status> move(fs::InodeId id, const Leaving& leaving);
  // Of a file that moves: there are none; nothing in them counts; there are copies of them.
  enum class Objects { none, worthless, copied };
  // As lock::LockManager::claim, for the mover itself.
  Task<Status> claim(fs::InodeId id, lock::Mode mode);
  // Nobody can write the file at this moment; whoever gets it so from now on is noted (lock::LockManager::watch).
  Task<Status> begin_watch(fs::InodeId id);
  Task<Status> move_with_copy(const fs::Inode& inode, Attempt& attempt);
  Status choose(const fs::Inode& inode, const Leaving& leaving, fs::Layout* to);
  Task<Status> begin_attempt(fs::InodeId id, const Leaving& leaving, Attempt* attempt);
  void give_up(fs::InodeId id, const Attempt& attempt);
  Task<Status> copy(fs::InodeId id, Attempt& attempt, bool waits, std::uint64_t* bytes);
  Task<Status> commit(fs::InodeId id, const fs::Layout& to, std::uint32_t from_generation, std::uint64_t bytes,
                      Objects old);
  Task<Status> finish(fs::TargetId id, std::uint64_t begun);
  Status destroys_left(fs::TargetId id, bool* any);
  Task<Status> destroy_rest(fs::TargetId id, std::uint64_t begun, bool* all);
  // As it is now. No client is answered from this, so what was seen before is forgotten.
  Status read_now(fs::InodeId id, fs::InodeRecord* to);
  bool is_rubbish(fs::TargetId on, const ObjectId& object);
  void tell_problem(const fs::Inode& inode, const Leaving& leaving, Status status);

  Target& target_;
  ObjectTargets& calls_;
  DividedFiles& files_;
  lock::LockManager& locks_;
  Rest rest_;
  Pace pace_;
  lock::HolderId holder_ = 0;
  std::map<fs::TargetId, Facts> facts_;
  std::map<fs::TargetId, std::uint64_t> free_;  // of targets that files may move to; bytes, as far as they answer
  std::uint64_t begun_ = 0;                     // drains so far
  std::uint64_t files_moved_ = 0;
  std::size_t running_ = 0;  // moves
  WaitQueue moved_;          // one of them ended
  WaitQueue wanted_;         // there is something to do
  TaskGroup tasks_;
};

}  // namespace rideau::mds
