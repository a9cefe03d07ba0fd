// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/committer.hpp"

#include "framework/base/sim_hooks.hpp"
#include "framework/observe/log.hpp"

#include <algorithm>

namespace rideau::mds {

namespace {

constexpr std::uint64_t kGroupBytesMax = 8 * 1024 * 1024;
constexpr std::uint64_t kGroupBytesMin = 256 * 1024;  // a store with smaller batches cannot take the largest operation
// A store may hold a page in memory for each edit of a group, and keep that memory; and groups a hundred times smaller
// than this cost little more for each edit.
constexpr std::uint64_t kGroupEditsMax = 16 * 1024;
constexpr std::uint64_t kReserveEditsMax = 200;                // of a group that lives on the store's reserve
constexpr std::uint64_t kOperationEdits = 16;                  // an operation edits at most about as many keys
constexpr std::uint64_t kSpaceAskedBelow = 256 * 1024 * 1024;  // with less free the store is asked after each commit
constexpr std::uint32_t kSpaceAskedEvery = 64;                 // commits
constexpr std::uint64_t kOperationBytes = 80 * 1024;           // the largest extended attribute, and records beside it
constexpr std::uint64_t kShareWithoutBytes = 8;  // of the index, for names: bytes of files have other places
// Transactions that a crash lost were seen by clients; their numbers must not come again.
constexpr std::uint64_t kTransactionsSkipped = 1'000'000;

}  // namespace

Committer::Committer(Runtime& runtime, Logger& log, IndexStore& store)
    : runtime_(runtime),
      log_(log),
      store_(store),
      work_(runtime),
      interval_(runtime, [this] { work_.wake_all(); }),
      committed_(runtime),
      tasks_(runtime) {}

Committer::~Committer() { release_snapshot(); }

Status Committer::start(const fs::Counters& counters) {
  group_bytes_max_ = std::min(kGroupBytesMax, store_.limits().batch_bytes_max / 2);
  if (group_bytes_max_ < kGroupBytesMin) return {Code::refused, 0, "batches of this index store are too small"};
  counters_ = counters;
  last_ = counters.transaction + kTransactionsSkipped;
  first_ = last_;
  durable_ = last_;
  if (const Status status = store_.space(&space_); !status.ok()) return status;
  if (snapshot() == nullptr) return {Code::io_error, EIO, "read the index"};
  tasks_.spawn(run());
  return kOk;
}

Task<> Committer::stop() {
  stopping_ = true;
  work_.wake_all();
  co_await tasks_.join();
  release_snapshot();
}

Task<Status> Committer::admit(Need need, std::uint64_t bytes) {
  for (;;) {
    if (!failure_.ok()) co_return Status{Code::io_error, EIO, "target stopped after a failed commit"};
    if (stopping_) co_return Status{Code::closed, 0, "target stops"};
    // Who was admitted to the reserve last had nothing to edit, and no commit will end what he began.
    if (filling().empty()) in_reserve_ = false;
    if (!group_is_full(need, bytes)) {
      if (in_reserve_ || has_space(need, bytes)) break;
      const bool pending = commit_running_ || !filling().empty();
      if (!pending) {
        refresh_space();
        if (has_space(need, bytes)) break;
        if (need == Need::grows) RIDEAU_MARK(index_was_full);
        if (need == Need::grows) co_return Status{Code::no_space, ENOSPC, "index is full"};
        in_reserve_ = true;
        break;
      }
    }
    commit_wanted_ = true;
    work_.wake_all();
    co_await committed_.wait();
  }
  // The caller edits right after this; the committing task gets its turn through the queue, when that is done.
  if (idle_ || is_large()) work_.wake_all();
  co_return kOk;
}

bool Committer::group_is_full(Need need, std::uint64_t bytes) noexcept {
  const EditGroup& group = filling();
  if (in_reserve_) return need == Need::grows || group.edit_count() + kOperationEdits > kReserveEditsMax;
  if (group.empty()) return false;  // whatever it is, it will not find more room
  return group.bytes() + kOperationBytes + bytes > group_bytes_max_ ||
         group.edit_count() + kOperationEdits > kGroupEditsMax;
}

bool Committer::has_space(Need need, std::uint64_t bytes) {
  const std::uint64_t kept = bytes != 0 && need == Need::grows ? space_.bytes_total / kShareWithoutBytes : 0;
  bytes += need == Need::grows ? kOperationBytes : kOperationBytes / 8;
  std::uint64_t needed = space_needed(filling(), kOperationEdits, bytes);
  if (commit_running_) needed += space_needed(committing(), 0, 0);
  return needed + kept <= space_.bytes_free;
}

// An upper bound of what writing a group takes: a store may write every page anew that an edit touches, and the old
// ones become free only later.
std::uint64_t Committer::space_needed(const EditGroup& group, std::uint64_t more_edits,
                                      std::uint64_t more_bytes) const noexcept {
  constexpr std::uint64_t kPage = 4096;
  constexpr std::uint64_t kLevels = 4;
  constexpr std::uint64_t kFixedPages = 64;
  const std::uint64_t edits = group.edit_count() + more_edits;
  const std::uint64_t used_pages = (space_.bytes_total - std::min(space_.bytes_free, space_.bytes_total)) / kPage + 1;
  const std::uint64_t leaves = std::min(edits, used_pages);
  const std::uint64_t branches = std::min(edits * kLevels, used_pages / 16 + 8);
  const std::uint64_t fresh = 3 * (group.bytes() + more_bytes) / kPage + kLevels;
  return 2 * kPage * (leaves + branches + fresh + kFixedPages);
}

Status Committer::get(Bytes key, Bytes* value) {
  const EditGroup::Item* item = filling().find(key);
  if (item == nullptr && commit_running_) item = committing().find(key);
  if (item != nullptr) {
    if (item->erased) return {Code::not_found, ENOENT};
    *value = item->value;
    return kOk;
  }
  Snapshot* base = snapshot();
  return base != nullptr ? base->get(key, value) : Status{Code::io_error, EIO, "read the index"};
}

// Merges three ordered sources; an item of a newer one hides the same key of an older one.
Status Committer::seek(Bytes prefix, Bytes key, Bytes* found, Bytes* value) {
  Snapshot* base = snapshot();
  if (base == nullptr) return {Code::io_error, EIO, "read the index"};
  Bytes base_key;
  Bytes base_value;
  Status base_status = base->seek(key, &base_key, &base_value);
  std::uint8_t after[fs::Key::kBytesMax + 1];
  for (;;) {
    if (!base_status.ok() && base_status.code != Code::not_found) return base_status;
    const EditGroup::Item* first = filling().find_from(prefix, key);
    const EditGroup::Item* second = commit_running_ ? committing().find_from(prefix, key) : nullptr;
    const EditGroup::Item* item = first;
    if (second != nullptr && (first == nullptr || compare(second->key, first->key) < 0)) item = second;
    const int order = item == nullptr ? 1 : (base_status.ok() ? compare(item->key, base_key) : -1);
    if (order > 0) {
      if (!base_status.ok() || !fs::has_prefix(base_key, prefix)) return {Code::not_found, ENOENT};
      *found = base_key;
      *value = base_value;
      return kOk;
    }
    if (!item->erased) {
      *found = item->key;
      *value = item->value;
      return kOk;
    }
    if (order == 0) base_status = base->next(&base_key, &base_value);
    // The least key behind the erased one.
    std::memcpy(after, item->key.data, item->key.size);
    after[item->key.size] = 0;
    key = Bytes(after, item->key.size + 1);
  }
}

Snapshot* Committer::snapshot() {
  if (snapshot_ == nullptr) {
    if (const Status status = store_.snapshot(&snapshot_); !status.ok()) {
      log_.error("index: cannot read: %s%s%s", code_name(status.code), status.where != nullptr ? ": " : "",
                 status.where != nullptr ? status.where : "");
      snapshot_ = nullptr;
    }
  }
  return snapshot_;
}

void Committer::release_snapshot() noexcept {
  if (snapshot_ != nullptr) snapshot_->release();
  snapshot_ = nullptr;
}

void Committer::refresh_space() {
  IndexSpace now;
  if (store_.space(&now).ok()) space_ = now;
  commits_since_asked_ = 0;
}

// Asking a store for its space may cost as much as a small commit.
void Committer::account_space(std::uint64_t spent) {
  space_.bytes_free -= std::min(spent, space_.bytes_free);
  if (++commits_since_asked_ >= kSpaceAskedEvery || space_.bytes_free < kSpaceAskedBelow) refresh_space();
}

bool Committer::has_room_for_bytes() const noexcept {
  return space_.bytes_free > 2 * (space_.bytes_total / kShareWithoutBytes);
}

Status Committer::space(IndexSpace* out) { return store_.space(out); }

Task<Status> Committer::wait_durable(std::uint64_t transaction) {
  transaction = std::min(transaction, last_);
  while (durable_ < transaction) {
    if (!failure_.ok()) co_return Status{Code::io_error, EIO, "target stopped after a failed commit"};
    if (!commit_running_ && filling().empty()) {
      durable_ = last_;  // what came after the last commit edited nothing
      break;
    }
    work_.wake_all();
    co_await committed_.wait();
  }
  co_return kOk;
}

// Larger groups would not be cheaper, and whoever finds one full has to wait.
bool Committer::is_large() noexcept {
  const EditGroup& group = filling();
  return group.edit_count() >= kGroupEditsMax / 2 || group.bytes() >= group_bytes_max_ / 4;
}

// Whether the group that fills should not wait for the interval to end.
bool Committer::is_urgent() noexcept {
  return stopping_ || commit_wanted_ || in_reserve_ || !committed_.empty() || is_large();
}

Task<> Committer::run() {
  for (;;) {
    idle_ = true;
    while (filling().empty() && !stopping_) co_await work_.wait();
    idle_ = false;
    if (filling().empty()) break;
    const std::uint64_t now = runtime_.now_ns();
    if (now < next_commit_ns_ && !is_urgent()) {
      interval_.set(next_commit_ns_ - now);
      while (interval_.pending() && !is_urgent()) co_await work_.wait();
      interval_.clear();
    }
    next_commit_ns_ = runtime_.now_ns() + kCommitIntervalNs;
    const Status status = co_await commit_group();
    if (!status.ok()) {
      RIDEAU_MARK(commit_failed);
      failure_ = status;
      log_.error("index: a commit failed, this target stops: %s (errno %d)%s%s", code_name(status.code),
                 status.os_error, status.where != nullptr ? ": " : "", status.where != nullptr ? status.where : "");
      committed_.wake_all();
      break;
    }
  }
}

Task<Status> Committer::commit_group() {
  const std::uint64_t upto = last_;
  counters_.transaction = upto;
  const fs::Key counters_at = fs::counters_key();
  fs::encode(counters_, counters_at, scratch_);
  filling().put(counters_at, Bytes(scratch_.data(), scratch_.size()));

  IndexBatch batch;
  batch.frees_space = in_reserve_;
  edits_.clear();
  for (const EditGroup::Item& item : filling().items()) {
    edits_.push_back({item.erased ? Edit::Kind::erase : Edit::Kind::put, item.key, item.erased ? Bytes() : item.value});
  }
  batch.edits = edits_.data();
  batch.edit_count = static_cast<std::uint32_t>(edits_.size());
  filling_ = 1 - filling_;
  in_reserve_ = false;
  commit_running_ = true;
  const std::uint64_t began_ns = runtime_.now_ns();
  log_.note({.subject = upto, .kind = EventKind::commit});
  if (commit_wanted_) {
    commit_wanted_ = false;
    committed_.wake_all();  // the group that fills is empty now
  }
  Outcome done = co_await submit([&](Completion& c) { return store_.commit(&batch, 1, Durability::durable, c); });
  if (done.status.code == Code::no_space && !batch.frees_space) {
    // Nothing of it was applied, and it has been answered for: it may use the reserve.
    log_.warning("index: space ran out beneath a commit; it goes into the reserve");
    batch.frees_space = true;
    done = co_await submit([&](Completion& c) { return store_.commit(&batch, 1, Durability::durable, c); });
  }
  Status status = done.status.ok() ? batch.status : done.status;
  if (!status.ok()) co_return status;
  const std::uint64_t spent = space_needed(committing(), 0, 0);
  commit_running_ = false;
  committing().clear();
  release_snapshot();
  durable_ = upto;
  commit_times_.add(runtime_.now_ns() - began_ns);
  log_.note({.subject = upto, .kind = EventKind::commit_end});
  account_space(spent);
  committed_.wake_all();
  co_return kOk;
}

}  // namespace rideau::mds
