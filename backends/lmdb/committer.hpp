// SPDX-License-Identifier: Apache-2.0
// Committer: applies commit() calls to the map, many in one LMDB transaction. Runs inside blocking jobs, one at a time.
//
// Every commit is synced, also an eventual one: LMDB without a sync of its data pages may be torn by a power cut. So
// whatever a durable commit follows is durable already.
#pragma once

#include "environment.hpp"
#include "rideau/index_store.hpp"

#include <cstddef>
#include <cstdint>

namespace rideau::lmdb {

// One commit() call.
struct Call {
  IndexBatch* batches = nullptr;
  std::uint32_t batch_count = 0;
  bool frees_space = false;  // all of its batches do
  Completion* done = nullptr;
  std::uint64_t edit_count = 0;
  std::uint64_t put_bytes = 0;     // keys and values of puts, with LMDB's own overhead
  std::uint64_t large_values = 0;  // puts whose value gets pages of its own
  Status status{};                 // out, with `value`: what the completion will say
  std::uint64_t value = 0;
};

class Committer {
 public:
  explicit Committer(Environment& environment) : environment_(environment) {}

  // Applies the calls in order. Snapshots older than transaction `oldest_snapshot` do not exist.
  void run(Call* calls, std::size_t count, std::uint64_t oldest_snapshot) noexcept;

 private:
  enum class Room { enough, after_turn, none };

  std::size_t run_group(Call* calls, std::size_t count) noexcept;
  Status begin() noexcept;
  void abort() noexcept;
  Status apply(Call& call) noexcept;
  Status check(const Check& check, bool* holds) noexcept;
  Status edit(const Edit& edit) noexcept;
  Room room_for(const Call& call) noexcept;
  std::uint64_t pages_for(const Call& call) const noexcept;
  Status turn() noexcept;
  void fail(Call& call, Status status) noexcept;
  std::size_t recover(Call* calls, std::size_t tried, Status why) noexcept;

  Environment& environment_;
  std::uint64_t sequence_ = 0;  // last one given
  Status broken_{};             // after an I/O error nothing may be written any more

  // Of the run.
  std::uint64_t oldest_snapshot_ = 0;
  // Of the transaction.
  MDB_txn* txn_ = nullptr;
  MDB_stat shape_{};
  FreePages free_{};
  bool free_known_ = false;  // whether the list of freed pages was walked; `tail` alone is enough most times
  std::uint64_t planned_pages_ = 0;
};

}  // namespace rideau::lmdb
