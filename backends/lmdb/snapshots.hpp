// SPDX-License-Identifier: Apache-2.0
// Snapshots: LMDB read transactions that are reset and renewed instead of made anew. What get, seek and next return
// points into the map.
#pragma once

#include "environment.hpp"
#include "rideau/index_store.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace rideau::lmdb {

class SnapshotPool;

class MapSnapshot final : public Snapshot {
 public:
  MapSnapshot(SnapshotPool& pool, Environment& environment) : pool_(pool), environment_(environment) {}
  ~MapSnapshot();
  MapSnapshot(const MapSnapshot&) = delete;
  MapSnapshot& operator=(const MapSnapshot&) = delete;

  Status open() noexcept;
  void reset() noexcept;
  bool in_use() const noexcept { return in_use_; }
  std::uint64_t transaction() const noexcept { return ::mdb_txn_id(txn_); }

  Status get(Bytes key, Bytes* value) noexcept override;
  Status seek(Bytes key, Bytes* found, Bytes* value) noexcept override;
  Status next(Bytes* found, Bytes* value) noexcept override;
  void release() noexcept override;

 private:
  enum class Place { nowhere, at_entry, at_end };

  Status open_cursor() noexcept;
  Status step(MDB_cursor_op operation, MDB_val key, Bytes* found, Bytes* value) noexcept;

  SnapshotPool& pool_;
  Environment& environment_;
  MDB_txn* txn_ = nullptr;
  MDB_cursor* cursor_ = nullptr;
  bool in_use_ = false;
  bool cursor_fresh_ = false;  // the cursor belongs to the transaction as it is now
  Place place_ = Place::nowhere;
};

class SnapshotPool {
 public:
  explicit SnapshotPool(Environment& environment) : environment_(environment) {}

  Status take(std::uint32_t limit, Snapshot** out) noexcept;
  void give_back(MapSnapshot& snapshot) noexcept { idle_.push_back(&snapshot); }
  // The transaction of the oldest snapshot in use; the largest number when there is none.
  std::uint64_t oldest() const noexcept;
  // Ends every read transaction; before the environment is closed.
  void clear() noexcept;

 private:
  Environment& environment_;
  std::vector<std::unique_ptr<MapSnapshot>> all_;
  std::vector<MapSnapshot*> idle_;
};

}  // namespace rideau::lmdb
