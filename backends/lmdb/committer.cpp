// SPDX-License-Identifier: Apache-2.0
#include "committer.hpp"

#include <algorithm>
#include <cstring>

namespace rideau::lmdb {
namespace {

constexpr std::uint64_t kPagesOverhead = 16;  // roots, the list of freed pages and its own paths
constexpr int kTurnsMax = 2;                  // pages freed by a transaction are usable in the second one after it
constexpr char kTurnKey[] = "turn";

// Whether the store can go on after a transaction failed this way.
bool is_harmless(Code code) noexcept { return code == Code::no_space || code == Code::too_large || code == Code::busy; }

}  // namespace

void Committer::run(Call* calls, std::size_t count, std::uint64_t oldest_snapshot) noexcept {
  oldest_snapshot_ = oldest_snapshot;
  std::size_t at = 0;
  while (at < count) at += run_group(calls + at, count - at);
}

// Applies the first of the calls, as many as fit, in one transaction. Returns how many have their result.
std::size_t Committer::run_group(Call* calls, std::size_t count) noexcept {
  const std::uint64_t sequence_before = sequence_;
  std::size_t tried = 0;
  Status status = broken_.ok() ? begin() : broken_;
  if (!status.ok()) {
    for (std::size_t i = 0; i < count; ++i) fail(calls[i], status);
    return count;
  }
  for (int turns = 0; tried < count && status.ok();) {
    const Room room = room_for(calls[tried]);
    // The estimate is the worst case. A call that frees space is tried all the same when nothing else helps.
    const bool try_anyway = tried == 0 && calls[0].frees_space && (room == Room::none || turns == kTurnsMax);
    if (room == Room::enough || try_anyway) {
      status = apply(calls[tried++]);
      continue;
    }
    if (tried > 0) break;  // commit what was applied; this call gets a fresh look at the space
    abort();
    if (room == Room::none || turns++ == kTurnsMax) {
      fail(calls[0], {Code::no_space, 0, "index map is full"});
      return 1;
    }
    status = turn();
    if (status.ok()) status = begin();
    if (!status.ok()) return recover(calls, 1, status);
  }
  if (status.ok()) {
    const int code = ::mdb_txn_commit(txn_);  // ends the transaction, also when it fails
    txn_ = nullptr;
    status = status_of(code, "commit to the index");
    if (status.ok()) return tried;
  }
  abort();
  sequence_ = sequence_before;
  return recover(calls, tried, status);
}

// Nothing of the transaction was applied. With too little space for all of them, each call may still fit alone.
std::size_t Committer::recover(Call* calls, std::size_t tried, Status why) noexcept {
  if (is_harmless(why.code) && tried > 1) {
    for (std::size_t i = 0; i < tried; ++i) run_group(calls + i, 1);
    return tried;
  }
  if (!is_harmless(why.code)) broken_ = why;
  for (std::size_t i = 0; i < tried; ++i) fail(calls[i], why);
  return tried;
}

void Committer::fail(Call& call, Status status) noexcept {
  for (std::uint32_t i = 0; i < call.batch_count; ++i) {
    call.batches[i].status = status;
    call.batches[i].sequence = 0;
  }
  call.status = status;
  call.value = 0;
}

Status Committer::begin() noexcept {
  int code = ::mdb_txn_begin(environment_.handle(), nullptr, 0, &txn_);
  if (code != 0) {
    txn_ = nullptr;
    return status_of(code, "begin a transaction of the index");
  }
  code = ::mdb_stat(txn_, environment_.entries(), &shape_);
  if (code != 0) {
    abort();
    return status_of(code, "look at the shape of the index");
  }
  free_ = {};
  free_.tail = environment_.tail_pages();
  free_known_ = false;
  planned_pages_ = 0;
  return kOk;
}

void Committer::abort() noexcept {
  if (txn_ != nullptr) ::mdb_txn_abort(txn_);
  txn_ = nullptr;
}

// All checks of a batch come before its edits, so a batch that fails leaves nothing behind; what earlier batches of
// this transaction did is visible to them.
Status Committer::apply(Call& call) noexcept {
  for (std::uint32_t i = 0; i < call.batch_count; ++i) {
    IndexBatch& batch = call.batches[i];
    bool holds = true;
    for (std::uint32_t c = 0; c < batch.check_count && holds; ++c) {
      const Status status = check(batch.checks[c], &holds);
      if (!status.ok()) return status;
    }
    if (!holds) {
      batch.status = {Code::check_failed, 0, "check of a batch"};
      batch.sequence = 0;
      continue;
    }
    for (std::uint32_t e = 0; e < batch.edit_count; ++e) {
      const Status status = edit(batch.edits[e]);
      if (!status.ok()) return status;
    }
    batch.status = kOk;
    batch.sequence = ++sequence_;
  }
  call.status = kOk;
  call.value = sequence_;
  return kOk;
}

Status Committer::check(const Check& check, bool* holds) noexcept {
  MDB_val key = to_lmdb(check.key);
  MDB_val value{};
  const int code = ::mdb_get(txn_, environment_.entries(), &key, &value);
  if (code != 0 && code != MDB_NOTFOUND) return status_of(code, "check an entry of the index");
  const bool found = code == 0;
  switch (check.kind) {
    case Check::Kind::absent:
      *holds = !found;
      break;
    case Check::Kind::present:
      *holds = found;
      break;
    case Check::Kind::equals:
      *holds = found && compare(from_lmdb(value), check.value) == 0;
      break;
  }
  return kOk;
}

Status Committer::edit(const Edit& edit) noexcept {
  MDB_val key = to_lmdb(edit.key);
  if (edit.kind == Edit::Kind::put) {
    MDB_val value = to_lmdb(edit.value);
    const int code = ::mdb_put(txn_, environment_.entries(), &key, &value, 0);
    return status_of(code, "put into the index");
  }
  const int code = ::mdb_del(txn_, environment_.entries(), &key, nullptr);
  return code == MDB_NOTFOUND ? kOk : status_of(code, "erase from the index");
}

// The most pages that a call can take: every leaf and branch it touches is written anew, and what it adds may split
// them. The old pages come back two transactions later.
std::uint64_t Committer::pages_for(const Call& call) const noexcept {
  const std::uint64_t leaves = std::min<std::uint64_t>(call.edit_count, shape_.ms_leaf_pages);
  const std::uint64_t levels = shape_.ms_depth > 0 ? shape_.ms_depth - 1 : 0;
  const std::uint64_t branches = std::min<std::uint64_t>(call.edit_count * levels, shape_.ms_branch_pages);
  std::uint64_t fresh = 2 * call.put_bytes / environment_.page_bytes() + call.large_values + 1;
  fresh += fresh / 32 + levels;
  const std::uint64_t touched = leaves + branches;
  return touched + fresh + (touched + fresh) / 256 + kPagesOverhead;
}

Committer::Room Committer::room_for(const Call& call) noexcept {
  const std::uint64_t pages = pages_for(call);
  const std::uint64_t wanted = planned_pages_ + pages + (call.frees_space ? 0 : environment_.reserve_pages());
  if (free_.tail < wanted && !free_known_) {
    const Status status = environment_.free_pages(::mdb_txn_id(txn_), oldest_snapshot_, &free_);
    if (!status.ok()) return Room::none;
    free_known_ = true;
  }
  if (free_.tail + free_.usable >= wanted) {
    planned_pages_ += pages;
    return Room::enough;
  }
  return free_.tail + free_.unpinned >= wanted ? Room::after_turn : Room::none;
}

// A small transaction of our own: afterwards what the last one freed can be used.
Status Committer::turn() noexcept {
  MDB_txn* txn = nullptr;
  int code = ::mdb_txn_begin(environment_.handle(), nullptr, 0, &txn);
  if (code != 0) return status_of(code, "turn over freed pages");
  MDB_val key{sizeof kTurnKey - 1, const_cast<char*>(kTurnKey)};
  MDB_val value{};
  std::uint64_t turns = 0;
  code = ::mdb_get(txn, environment_.format(), &key, &value);
  if (code == 0 && value.mv_size == sizeof turns) std::memcpy(&turns, value.mv_data, sizeof turns);
  ++turns;
  value = {sizeof turns, &turns};
  if (code == 0 || code == MDB_NOTFOUND) code = ::mdb_put(txn, environment_.format(), &key, &value, 0);
  if (code == 0) {
    code = ::mdb_txn_commit(txn);
  } else {
    ::mdb_txn_abort(txn);
  }
  return status_of(code, "turn over freed pages");
}

}  // namespace rideau::lmdb
