// SPDX-License-Identifier: Apache-2.0
#include "snapshots.hpp"

#include <algorithm>

namespace rideau::lmdb {

MapSnapshot::~MapSnapshot() {
  if (cursor_ != nullptr) ::mdb_cursor_close(cursor_);
  if (txn_ != nullptr) ::mdb_txn_abort(txn_);
}

Status MapSnapshot::open() noexcept {
  const int code =
      txn_ != nullptr ? ::mdb_txn_renew(txn_) : ::mdb_txn_begin(environment_.handle(), nullptr, MDB_RDONLY, &txn_);
  if (code != 0) return status_of(code, "make a snapshot");
  in_use_ = true;
  cursor_fresh_ = false;
  place_ = Place::nowhere;
  return kOk;
}

void MapSnapshot::reset() noexcept {
  ::mdb_txn_reset(txn_);  // keeps its slot in the table of readers
  in_use_ = false;
}

void MapSnapshot::release() noexcept {
  reset();
  pool_.give_back(*this);
}

Status MapSnapshot::get(Bytes key, Bytes* value) noexcept {
  if (key.size == 0) return {Code::invalid, 0, "get with an empty key"};
  MDB_val wanted = to_lmdb(key);
  MDB_val found{};
  const int code = ::mdb_get(txn_, environment_.entries(), &wanted, &found);
  if (code == 0) *value = from_lmdb(found);
  return status_of(code, "get from the index");
}

Status MapSnapshot::open_cursor() noexcept {
  if (cursor_fresh_) return kOk;
  const int code = cursor_ != nullptr ? ::mdb_cursor_renew(txn_, cursor_)
                                      : ::mdb_cursor_open(txn_, environment_.entries(), &cursor_);
  cursor_fresh_ = code == 0;
  return status_of(code, "open a cursor");
}

Status MapSnapshot::step(MDB_cursor_op operation, MDB_val key, Bytes* found, Bytes* value) noexcept {
  MDB_val content{};
  const int code = ::mdb_cursor_get(cursor_, &key, &content, operation);
  place_ = code == 0 ? Place::at_entry : Place::at_end;
  if (code != 0) return status_of(code, "walk the index");
  *found = from_lmdb(key);
  *value = from_lmdb(content);
  return kOk;
}

Status MapSnapshot::seek(Bytes key, Bytes* found, Bytes* value) noexcept {
  const Status opened = open_cursor();
  if (!opened.ok()) return opened;
  return step(key.size == 0 ? MDB_FIRST : MDB_SET_RANGE, to_lmdb(key), found, value);
}

Status MapSnapshot::next(Bytes* found, Bytes* value) noexcept {
  // A cursor of LMDB that stands nowhere would start at the first entry.
  if (place_ == Place::nowhere) return {Code::invalid, 0, "next without seek"};
  if (place_ == Place::at_end) return {Code::not_found, 0, "end of the index"};
  return step(MDB_NEXT, {}, found, value);
}

Status SnapshotPool::take(std::uint32_t limit, Snapshot** out) noexcept {
  if (idle_.empty()) {
    if (all_.size() >= limit) return {Code::busy, 0, "max_readers snapshots are in use"};
    all_.push_back(std::make_unique<MapSnapshot>(*this, environment_));
    idle_.push_back(all_.back().get());
  }
  MapSnapshot* snapshot = idle_.back();
  const Status status = snapshot->open();
  if (!status.ok()) return status;
  idle_.pop_back();
  *out = snapshot;
  return kOk;
}

std::uint64_t SnapshotPool::oldest() const noexcept {
  std::uint64_t oldest = UINT64_MAX;
  for (const std::unique_ptr<MapSnapshot>& snapshot : all_) {
    if (snapshot->in_use()) oldest = std::min(oldest, snapshot->transaction());
  }
  return oldest;
}

void SnapshotPool::clear() noexcept {
  idle_.clear();
  all_.clear();
}

}  // namespace rideau::lmdb
