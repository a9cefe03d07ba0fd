// SPDX-License-Identifier: Apache-2.0
// Committer: the pending overlay and the commits of one target. Operations apply one at a time against what was
// committed (a snapshot) and what was not yet (two groups of edits: one that fills, one that is being committed). A
// group is committed whole and durably, at once when somebody waits for it, and otherwise kCommitIntervalNs after the
// previous one began: what nobody waits for is cheaper in large groups. Reading never waits for a commit.
//
// An operation first awaits admit(), and then, without any co_await, reads, begins a transaction and edits.
#pragma once

#include "framework/base/result.hpp"
#include "framework/observe/metrics.hpp"
#include "framework/runtime/sync.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/fs/keys.hpp"
#include "plugins/fs/records.hpp"
#include "plugins/mds/edit_group.hpp"
#include "rideau/index_store.hpp"

#include <cstdint>

namespace rideau {
class Logger;
}

namespace rideau::mds {

// For how long a change may be volatile when nobody waits for it, besides the time of the commit itself.
constexpr std::uint64_t kCommitIntervalNs = 50 * kMillisecond;

// What an operation does to the index. One that does not make it larger is admitted to the last share of a full one.
enum class Need : std::uint8_t { grows, steady };

class Committer {
 public:
  Committer(Runtime& runtime, Logger& log, IndexStore& store);
  ~Committer();
  Committer(const Committer&) = delete;
  Committer& operator=(const Committer&) = delete;

  // Reads what the last commit left; transactions continue behind it.
  Status start(const fs::Counters& counters);
  // Commits what there is and ends.
  Task<> stop();

  // Waits until one more operation may be applied: the group has room, the index has space. no_space, or io_error once
  // a commit has failed. `bytes`: of files, which it stores beside what operations usually do.
  Task<Status> admit(Need need, std::uint64_t bytes = 0);

  // Numbers grow with each transaction of a target and are never used twice, not even those that a crash lost.
  std::uint64_t begin_transaction() noexcept { return ++last_; }
  void put(Bytes key, Bytes value) { filling().put(key, value); }
  void erase(Bytes key) { filling().erase(key); }
  // Counted in the commit, checked by the file system check.
  fs::Counters& counters() noexcept { return counters_; }
  const fs::Counters& counters() const noexcept { return counters_; }

  // Reads. Views are valid until the next put or erase of the same key, or the next co_await.
  Status get(Bytes key, Bytes* value);  // not_found
  // The first entry from `key` on that begins with `prefix`, a prefix of directory entries or of extended attributes.
  // Cheapest where only the last byte of the key of an entry is left open: names of one hash.
  Status seek(Bytes prefix, Bytes key, Bytes* found, Bytes* value);  // not_found
  // What is durable, without the overlay. Null when the store fails.
  Snapshot* snapshot();
  // After a commit that went around this class.
  void forget_snapshot() noexcept { release_snapshot(); }

  // The transactions of this start have greater numbers.
  std::uint64_t first() const noexcept { return first_; }
  std::uint64_t last() const noexcept { return last_; }
  std::uint64_t durable() const noexcept { return durable_; }
  // Ends when every transaction up to this one is durable; io_error when that will not happen.
  Task<Status> wait_durable(std::uint64_t transaction);
  // The status of the commit that failed; ok while none has.
  Status failure() const noexcept { return failure_; }
  Status space(IndexSpace* out);
  // Whether more files should be made whose bytes come here; what comes of those that are is decided by admit().
  bool has_room_for_bytes() const noexcept;

  // For statistics, since start().
  std::uint64_t transactions() const noexcept { return last_ - first_; }
  std::uint64_t groups() const noexcept { return commit_times_.count(); }
  const LatencyHistogram& commit_times() const noexcept { return commit_times_; }
  const IndexSpace& space_known() const noexcept { return space_; }

 private:
  EditGroup& filling() noexcept { return groups_[filling_]; }
  EditGroup& committing() noexcept { return groups_[1 - filling_]; }
  bool group_is_full(Need need, std::uint64_t bytes) noexcept;
  bool has_space(Need need, std::uint64_t bytes);
  std::uint64_t space_needed(const EditGroup& group, std::uint64_t more_edits, std::uint64_t more_bytes) const noexcept;
  Task<> run();
  bool is_large() noexcept;
  bool is_urgent() noexcept;
  Task<Status> commit_group();
  void release_snapshot() noexcept;
  void refresh_space();
  void account_space(std::uint64_t spent);

  Runtime& runtime_;
  Logger& log_;
  IndexStore& store_;
  EditGroup groups_[2];
  std::uint32_t filling_ = 0;
  bool in_reserve_ = false;  // the group that fills takes only operations that do not grow the index
  bool commit_running_ = false;
  bool commit_wanted_ = false;  // admit() waits for the group that fills to be taken
  bool idle_ = false;           // the committing task waits for a first edit
  std::uint64_t next_commit_ns_ = 0;
  Snapshot* snapshot_ = nullptr;
  fs::Counters counters_{};
  std::uint64_t first_ = 0;  // the last one before this start
  std::uint64_t last_ = 0;
  LatencyHistogram commit_times_;
  std::uint64_t durable_ = 0;
  std::uint64_t group_bytes_max_ = 0;
  IndexSpace space_{};  // as last asked for, less an upper bound of what was committed since
  std::uint32_t commits_since_asked_ = 0;
  Status failure_{};
  bool stopping_ = false;
  fs::RecordBuffer scratch_;
  std::vector<Edit> edits_;
  WaitQueue work_;       // the committing task waits here
  Alarm interval_;       // wakes it when the group that fills is due
  WaitQueue committed_;  // everyone who waits for a commit to end
  TaskGroup tasks_;
};

}  // namespace rideau::mds
