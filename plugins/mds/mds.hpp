// SPDX-License-Identifier: Apache-2.0
// Mds: a metadata target as a service. Decodes calls, has them applied one at a time, keeps replies for resends in the
// same transaction as the change, serves locks, and looks after sessions. The operations themselves are under ops/.
#pragma once

#include "framework/lock/lock_manager.hpp"
#include "framework/rpc/server.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/mds/advisory_locks.hpp"
#include "plugins/mds/destroyer.hpp"
#include "plugins/mds/divided_files.hpp"
#include "plugins/mds/evictions.hpp"
#include "plugins/mds/fencing.hpp"
#include "plugins/mds/glimpses.hpp"
#include "plugins/mds/lock_budget.hpp"
#include "plugins/mds/lock_callbacks.hpp"
#include "plugins/mds/mover.hpp"
#include "plugins/mds/orphan_sweep.hpp"
#include "plugins/mds/recovery.hpp"
#include "plugins/mds/options.hpp"
#include "plugins/mds/space_watch.hpp"
#include "plugins/mds/target.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace rideau {
class ByteSink;
}

namespace rideau::mds {

class Mds final : public rpc::Service {
 public:
  // Everything is lent; the index has been started.
  Mds(Runtime& runtime, Logger& log, IndexStore& index, Options options, ObjectTargets& object_targets);
  ~Mds();
  Mds(const Mds&) = delete;
  Mds& operator=(const Mds&) = delete;

  // Makes an empty file system in an empty index; ok and nothing done when this target's file system is there already.
  // refused: it is somebody else's, or of a newer version; the log says which. Nothing is touched then.
  Task<Status> format();
  // Before the server listens. Ends with the boot epoch of this start durable. What the last one left behind is cleared
  // by then, or, where clients may come back to it, when they have: until then their calls wait.
  Task<Status> start();
  // After the server has stopped.
  Task<> stop();

  std::uint64_t boot_epoch() const noexcept { return target_.superblock.boot_epoch; }
  Target& target() noexcept { return target_; }
  // From now on new files may lie there too. Its id is greater than those that were there at the start, or the places
  // that directories wish for would be others.
  void add_object_target(fs::TargetId target);
  void set_pools(std::map<std::string, std::vector<fs::TargetId>> pools);
  // Object targets that files move away from.
  Mover& mover() noexcept { return mover_; }
  const DrainTable& drains() const noexcept { return target_.drains; }
  // Everything that is durable now, as a stream (backup.hpp), while the target goes on serving.
  Task<Status> backup(ByteSink& to);
  // The newest sessions that ended against their clients' will, for people.
  std::vector<std::string> evictions() const { return evictions_.records(); }
  // How far recovery has come, for people; empty when there is none.
  std::string recovery() const { return recovery_.describe(); }
  // Transactions, groups, sessions, open files, the index.
  void collect(MetricList& to) const;

  Task<> handle(rpc::ServerCall& call) override;
  void on_session(rpc::ServerSession& session) override;
  std::vector<rpc::RestoredSession> restored_sessions() override;
  bool ends_after_lease(rpc::ServerSession& session) override;
  void on_session_closing(rpc::ServerSession& session, const std::string& reason) override;
  void on_session_end(rpc::ServerSession& session) override;
  // Nothing, as long as clients may have to make again what they were told before.
  std::uint64_t durable() const noexcept override;
  std::uint64_t next_session_id() override;
  rpc::MethodName method_name() const noexcept override;

 private:
  template <class Request>
  Task<> look(rpc::ServerCall& call);
  template <class Request>
  Task<> change(rpc::ServerCall& call, Need need);
  template <class Request>
  Task<> change_again(rpc::ServerCall& call, const Request& request);
  Task<Glimpse> ask_writers(std::uint64_t session, const fs::Inode& inode);
  Task<Glimpse> ask_parts(std::uint64_t session, const fs::Inode& inode);
  Task<Status> load_sessions();
  void begin_recovery();
  Task<> recover();
  Task<> reclaim(rpc::ServerCall& call);
  fs::LockWord claim_parts(std::uint64_t session, const fs::ReclaimedLock& wanted, lock::Grant granted);
  Task<Status> record_session(rpc::ServerCall& call, Session& session);
  Task<> dispatch(rpc::ServerCall& call);
  Task<> stat_file_system(rpc::ServerCall& call);
  Task<> sync(rpc::ServerCall& call);
  Task<> lock(rpc::ServerCall& call);
  // The inode's lock for a data call: as wanted, or a share of a file that is locked in parts.
  Task<Status> acquire(std::uint64_t holder, const fs::LockRequest& request);
  Task<> lock_extent(rpc::ServerCall& call);
  Task<> unlock(rpc::ServerCall& call);
  template <class Request, class Reply>
  Task<> advisory(rpc::ServerCall& call, Result<Reply> (AdvisoryLocks::*answer)(std::uint64_t, const Request&));
  // The newest change that was seen, is another session's and may be lost; 0: none.
  std::uint64_t rests_on(std::uint64_t session) const;
  void forget_purged();
  Task<> refuse_malformed(rpc::ServerCall& call);
  void keep_reply(rpc::ServerCall& call, Session& session, std::uint64_t transaction, Bytes body);
  void evict(std::uint64_t session, const std::string& reason);
  Task<> release_fenced(Uuid client, std::uint64_t session);
  void drop_locks(std::uint64_t session);
  Task<> end_session(std::unique_ptr<Session> session);

  Task<Status> format_empty();
  Task<Status> start_formatted();
  Status read_superblock(fs::Superblock* to, fs::Counters* counters);
  Task<Status> purge_open_unlinked();
  std::vector<std::string> keys_of(fs::KeyKind kind, const std::string& after);

  Target target_;
  IndexStore& index_;
  Destroyer destroyer_;
  OrphanSweep orphan_sweep_;
  SpaceWatch space_watch_;
  Fencing fencing_;
  Evictions evictions_;
  std::uint64_t sessions_made_ = 0;
  bool started_ = false;
  std::vector<rpc::RestoredSession> restored_;
  std::map<std::uint64_t, std::vector<bool>> restored_slots_;                   // that have records in the index
  std::map<std::uint64_t, std::map<fs::HandleId, OpenHandle>> restored_opens_;  // by the last changes of these slots
  std::uint64_t sweep_end_ = 0;
  Recovery recovery_;
  AdvisoryLocks advisory_locks_;
  Rest rest_;
  LockCallbacks lock_callbacks_;
  Glimpses glimpses_;
  lock::LockManager locks_;
  DividedFiles divided_;
  LockBudget lock_budget_;
  Mover mover_;
  TaskGroup tasks_;
};

}  // namespace rideau::mds
