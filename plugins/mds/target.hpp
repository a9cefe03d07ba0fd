// SPDX-License-Identifier: Apache-2.0
// Target: the state that operations work on. One target is one serial state machine over one index.
#pragma once

#include "framework/lock/lock_manager.hpp"
#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/committer.hpp"
#include "plugins/mds/namespace_store.hpp"
#include "plugins/mds/options.hpp"
#include "plugins/mds/placement.hpp"
#include "plugins/mds/sessions.hpp"

#include <initializer_list>
#include <set>
#include <vector>

namespace rideau::mds {

struct Target {
  Target(Runtime& host_runtime, Logger& logger, IndexStore& store, Options given)
      : runtime(host_runtime),
        log(logger),
        options(std::move(given)),
        committer(host_runtime, logger, store),
        names(committer, logger),
        placement(host_runtime, options, drains),
        destroys_wanted(host_runtime) {}

  Runtime& runtime;
  Logger& log;
  Options options;  // object_targets grows with the cluster
  Committer committer;
  NamespaceStore names;
  DrainTable drains;
  Placement placement;
  // New objects of files that move: inode and generation. A record says that they are to be destroyed, and it counts
  // when they are not here any more.
  std::set<std::pair<fs::InodeId, std::uint32_t>> moving;
  SessionTable sessions;
  OpenFiles opens;
  std::set<fs::InodeId> nameless;  // open files that were made without a name and may get one
  // Clients are still claiming what they had open: what loses its last name stays until they have.
  bool recovering = false;
  fs::Superblock superblock;
  std::uint64_t next_counter = 0;       // of inode numbers
  std::uint64_t destroys_recorded = 0;  // grows with each file whose objects are to be destroyed
  WaitQueue destroys_wanted;            // the destroyer waits here while there is nothing to do
  std::vector<fs::InodeId> purged;      // inodes that went since this was last taken: no lock of them means anything
};

// Of an operation that has to wait for locks of other sessions, see Transaction::wanted().
constexpr Status kLocksWanted{Code::busy, 0, "other sessions hold locks that are in the way"};

// An inode, and the weakest mode of a lock that is in the way when another session has it and asks for the given one.
struct WantedLock {
  fs::InodeId inode = fs::kNoInode;
  lock::Mode mode = lock::Mode::none;
};

// Of a change that was answered before a restart and is lost: what must be as it was, since its client has seen it.
struct Lost {
  std::uint64_t transaction = 0;
  std::int64_t now_ns = 0;  // its time; 0: the answer did not tell
  fs::Inode made{};         // of make: the inode that it made
};

// One operation's change: begun when all its checks have passed, so that nothing after it can fail.
class Transaction {
 public:
  // Without locks nobody is in the way.
  explicit Transaction(Target& target, const lock::LockManager* locks = nullptr, std::uint64_t session = 0)
      : target_(target), locks_(locks), session_(session) {}

  // No other session may hold a lock of these inodes that conflicts: exclusive for what changes, shared for what is
  // only told of. kLocksWanted: some do. They are wanted() then; when they are gone, the operation begins anew.
  Status claim(std::initializer_list<fs::InodeId> inodes, lock::Mode mode = lock::Mode::exclusive);
  const std::vector<WantedLock>& wanted() const noexcept { return wanted_; }

  // Makes a lost change again, which is lent. Handles were claimed before, and locks cannot be in the way.
  void repeat(const Lost& lost) noexcept { lost_ = &lost; }
  const Lost* repeats() const noexcept { return lost_; }

  void begin() {
    number_ = target_.committer.begin_transaction();
    now_ns_ = lost_ != nullptr && lost_->now_ns != 0 ? lost_->now_ns : target_.runtime.wall_ns();
  }
  std::uint64_t number() const noexcept { return number_; }  // 0: nothing was changed
  std::int64_t now_ns() const noexcept { return now_ns_; }

  // The record becomes as given, as changed by this transaction.
  void put(fs::InodeRecord& record) {
    change(record.inode);
    target_.names.put(record);
  }
  // Of a directory that gained a name and nothing else: who looks up another name does not rest on that.
  void put_grown(fs::InodeRecord& directory) {
    const std::uint64_t before = directory.inode.change;
    put(directory);
    target_.names.note_growth(directory.inode.id, before, number_);
  }
  // The inode loses a name: the entry and its back link go. With the last one the inode goes as well, or waits for its
  // last close. `record` is put; the directory's record is the caller's. True: the inode is gone.
  bool remove_name(fs::InodeRecord& record, fs::InodeId directory, fs::Cookie cookie);
  // The inode gains a name. `record` is the caller's to put.
  void add_name(fs::InodeRecord& record, fs::InodeId directory, fs::Cookie cookie, std::string_view name);
  // The entry and its back link go; the link count stays as it is. `record` is the caller's to put.
  void forget_name(fs::InodeRecord& record, fs::InodeId directory, fs::Cookie cookie);
  // The objects of a file, if there may be any, are recorded to be destroyed.
  void destroy_objects(const fs::Inode& inode);
  // Whether the file has no objects for certain.
  static bool is_untouched(const fs::Inode& inode) noexcept { return (inode.flags & fs::kUntouched) != 0; }
  // An inode that has no name and is not open goes with all it has; its objects are recorded to be destroyed.
  void purge(const fs::InodeRecord& record);

 private:
  void change(fs::Inode& inode) const noexcept { inode.change = number_; }

  Target& target_;
  const lock::LockManager* locks_;
  const std::uint64_t session_;
  std::vector<WantedLock> wanted_;
  const Lost* lost_ = nullptr;
  std::uint64_t number_ = 0;
  std::int64_t now_ns_ = 0;
};

// From now on the index is refused by programs that do not know that version of its format. Part of a transaction that
// has begun.
void require_format(Target& target, std::uint32_t version);

// Inode numbers that a write of the superblock makes safe to use. Half of them is more than all creates that can be
// pending: two groups of 16,384 edits, two edits a create at the least.
constexpr std::uint64_t kCountersReserved = 256 * 1024;
// A number that was never used before; kNoInode when the lease is used up. Part of a transaction that has begun.
fs::InodeId new_inode_id(Target& target);
bool inode_ids_left(const Target& target) noexcept;

}  // namespace rideau::mds
