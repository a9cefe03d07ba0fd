// SPDX-License-Identifier: Apache-2.0
// Flushes. One commit runs at a time and covers everything that was complete when it began; flushes that come meanwhile
// wait for the next one together.
#include "commit.hpp"
#include "store.hpp"

#include <algorithm>

namespace rideau::block_device {
namespace {

// Of one call to the index: an index whose map is nearly full needs room for the pages that a call changes.
constexpr std::uint64_t kPortionBytes = 1 << 20;
// How long the map may be in memory alone when nobody flushes.
constexpr std::uint64_t kUnflushedNs = 5'000'000'000;
constexpr std::size_t kMergesAtOnce = 64;  // when so much time has passed

Bytes view(const std::string& text) { return Bytes(std::string_view(text)); }

}  // namespace

Submitted BlockStore::flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept {
  if (const Status status = accepts_calls(); !status.ok()) return done.finish(status);
  if (!flush_failure_.ok()) return done.finish(flush_failure_);
  const auto dirty = [this](ObjectId id) { return map_.is_dirty(id); };
  const auto committing = [this](ObjectId id) { return map_.is_committing(id); };
  const bool waits_for_next = count != 0 ? std::any_of(ids, ids + count, dirty) : !map_.clean();
  const bool waits_for_this = count != 0 ? std::any_of(ids, ids + count, committing) : commit_ != nullptr;
  if (!waits_for_next && !waits_for_this) return done.finish(kOk);
  done.plugin_slot[0] = nullptr;
  if (waits_for_next || commit_ == nullptr) {
    flush_waiting_.push_back(&done);
  } else {
    commit_->flushes.push_back(&done);
  }
  begin_commit();
  device_->work();
  return Submitted::pending;
}

void BlockStore::note_change() noexcept {
  if (map_.dirty_records() > settings_.dirty_records_max / 4 || map_.bytes_held() > kHeldBytesMax / 2) begin_commit();
  if (timer_ != nullptr) return;
  timer_ = new CommitTimer;
  timer_->store = this;
  timer_->resume = [](Completion* completion) noexcept {
    auto* own = static_cast<CommitTimer*>(completion);
    if (backend::LentCall::ends_abandoned(own)) return;
    BlockStore& store = *own->store;
    delete own;
    store.timer_ = nullptr;
    store.on_timer();
  };
  timer_->lent = true;
  if (host_.sleep(kUnflushedNs, *timer_) == Submitted::pending) return;
  delete timer_;
  timer_ = nullptr;
}

void BlockStore::on_timer() noexcept {
  if (life_ == Life::running && !map_.clean()) begin_commit();
  if (life_ == Life::running) merge_some(kMergesAtOnce);
  work();
}

void BlockStore::begin_commit() noexcept {
  if (commit_ != nullptr) return;
  commit_ = new Commit;
  commit_->store = this;
  commit_->flushes.swap(flush_waiting_);
  commit_->released.swap(released_);
  commit_->captured.changes.swap(leftovers_);
  map_.capture(&commit_->captured);
  if (!flush_failure_.ok()) return end_commit(flush_failure_);
  if (!written_) return commit_more(*commit_);
  // Everything that the captured map names was written before.
  written_ = false;
  commit_->request.kind = Request::Kind::flush;
  commit_->request.owner = commit_;
  commit_->request.done = [](Request& request) noexcept {
    Commit& commit = *static_cast<Commit*>(request.owner);
    commit.store->on_flushed(commit, request.status);
  };
  device_->submit(commit_->request);
}

void BlockStore::on_flushed(Commit& commit, Status status) noexcept {
  if (!status.ok()) return end_commit(status);
  commit_more(commit);
}

void BlockStore::commit_more(Commit& commit) noexcept {
  const std::vector<MapChange>& changes = commit.captured.changes;
  if (commit.next_change == changes.size()) return end_commit(kOk);
  commit.edits.clear();
  std::uint64_t bytes = 0;
  std::size_t erases = 0;
  for (std::size_t at = commit.next_change; at < changes.size(); ++at) {
    const MapChange& change = changes[at];
    bytes += change.key.size() + change.value.size();
    const std::size_t stretch = change.begins_object ? 1 : settings_.portion_stretch;
    const bool full = commit.edits.size() >= stretch * settings_.portion_edits || bytes > stretch * kPortionBytes;
    if (full && !commit.edits.empty()) break;
    if (change.erase) ++erases;
    commit.edits.push_back({change.erase ? Edit::Kind::erase : Edit::Kind::put, view(change.key), view(change.value)});
  }
  commit.sent = commit.edits.size();
  commit.batch = {};
  commit.batch.edits = commit.edits.data();
  commit.batch.edit_count = static_cast<std::uint32_t>(commit.edits.size());
  commit.batch.frees_space = 2 * erases > commit.edits.size();
  commit.resume = [](Completion* completion) noexcept {
    auto* own = static_cast<Commit*>(completion);
    if (backend::LentCall::ends_abandoned(own)) return;
    BlockStore& store = *own->store;
    store.on_portion(*own);
    store.device_->work();
  };
  const bool last = commit.next_change + commit.sent == changes.size();
  commit.lent = true;
  const Submitted how = index_->commit(&commit.batch, 1, last ? Durability::durable : Durability::eventual, commit);
  if (how == Submitted::pending) return;
  commit.lent = false;
  on_portion(commit);
}

void BlockStore::on_portion(Commit& commit) noexcept {
  Status status = commit.status;
  if (status.ok()) status = commit.batch.status;
  if (!status.ok()) return end_commit(status);
  commit.next_change += commit.sent;
  commit_more(commit);
}

void BlockStore::end_commit(Status status) noexcept {
  const std::unique_ptr<Commit> commit(commit_);
  commit_ = nullptr;
  map_.settle(commit->captured, status.ok());
  if (status.ok()) {
    reuse(std::move(commit->released));
  } else {
    released_.insert(released_.end(), commit->released.begin(), commit->released.end());
    // A full or busy index may take the same changes later; after other failures nobody knows what is durable.
    const bool passes = status.code == Code::no_space || status.code == Code::busy;
    if (!passes && flush_failure_.ok()) {
      flush_failure_ = status;
      log(Level::error,
          std::string("a flush failed in \"") + (status.where != nullptr ? status.where : "") + "\" (errno " +
              std::to_string(status.os_error) +
              "), so written data may be lost; check the device and the index, then start this store again");
    }
  }
  last_commit_ = status;
  for (Completion* flush : commit->flushes) host_.complete(*flush, status, 0);
  learn_index_room();
  if (life_ == Life::starting) return on_claimed(status);
  retry_waiting(status);
  end_crowd();
  const bool more = status.ok() && !space_waiters_.empty() && !released_.empty();
  if (!flush_waiting_.empty() || more) begin_commit();
  work();
}

// Changes in memory are faster than an index that carries them over. After a failed commit nothing waits: it may be a
// removal that makes room.
bool BlockStore::crowded() const noexcept {
  return commit_ != nullptr && last_commit_.ok() && map_.dirty_records() > settings_.dirty_records_max;
}

void BlockStore::end_crowd() noexcept {
  std::deque<Op*> waiting;
  waiting.swap(crowd_waiters_);
  for (Op* op : waiting) dispatch(*op);
}

void BlockStore::learn_index_room() noexcept {
  IndexSpace space;
  const Status status = index_->space(&space);
  index_room_ = status.ok() ? space.bytes_free : 0;
  index_total_ = status.ok() ? space.bytes_total : 0;
}

}  // namespace rideau::block_device
