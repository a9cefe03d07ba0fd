// SPDX-License-Identifier: Apache-2.0
// Store: the IndexStore over one LMDB environment. Reads run on the node's thread; opening, committing and syncing are
// blocking jobs, one at a time. Commits that arrive while a job runs share the next transaction.
#pragma once

#include "committer.hpp"
#include "environment.hpp"
#include "rideau/index_store.hpp"
#include "snapshots.hpp"

#include <atomic>
#include <cstdint>
#include <deque>
#include <vector>

namespace rideau::lmdb {

class Store final : public IndexStore {
 public:
  Store(Host& host, const Environment::Options& options);

  Submitted start(Completion& done) noexcept override;
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;

  IndexLimits limits() const noexcept override;
  Status snapshot(Snapshot** out) noexcept override;
  Submitted commit(IndexBatch* batches, std::uint32_t count, Durability durability, Completion& done) noexcept override;
  Status space(IndexSpace* out) noexcept override;

 private:
  enum class State { made, starting, running, stopping, stopped };
  enum class Work { open, commit, sync };
  enum class Phase : std::uint32_t { idle, waiting, running, finished, abandoned };

  // The one blocking job. On its own on the heap: after destroy() the host may still hold it.
  struct Errand : Job, Completion {
    Store* store = nullptr;  // null: the store is gone, free this when the completion arrives
    Work work = Work::open;
    std::vector<Call> calls;
    std::uint64_t oldest_snapshot = 0;
    std::atomic<Phase> phase{Phase::idle};
  };

  // The sleep before pages of the map are let go. On the heap for the same reason.
  struct Pause : Completion {
    Store* store = nullptr;
    bool pending = false;
  };

  ~Store() = default;
  Status measure(IndexBatch* batches, std::uint32_t count, Call* call) const noexcept;
  bool busy() const noexcept { return errand_->phase.load(std::memory_order_acquire) != Phase::idle; }
  void launch(Work work) noexcept;
  void launch_commit() noexcept;
  static void run(Job* job) noexcept;
  static void resumed(Completion* done) noexcept;
  void opened(Status status) noexcept;
  void committed() noexcept;
  void let_pages_go_later() noexcept;
  static void paused(Completion* done) noexcept;
  void close_queue() noexcept;
  void finish_stop() noexcept;

  Host& host_;
  const Environment::Options options_;
  Environment environment_;
  Committer committer_;
  SnapshotPool snapshots_;
  State state_ = State::made;
  Errand* errand_;
  Pause* pause_;
  std::deque<Call> queue_;
  Completion* start_done_ = nullptr;
  Completion* stop_done_ = nullptr;
};

}  // namespace rideau::lmdb
