// SPDX-License-Identifier: Apache-2.0
// How sums come to the index: marks at once, sums after some seconds and when the bytes are durable. And how a start
// finds them: whose they are, and what is to be summed anew.
#include "../shared/checksum.hpp"
#include "index_look.hpp"
#include "sum_commit.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <unistd.h>

namespace rideau::raw_file {
namespace {

constexpr std::size_t kErasedAtOnce = 500;
constexpr std::uint64_t kSegmentBytes = kSegmentBlocks * kBlockBytes;

bool begins_with(Bytes key, const std::string& prefix) { return key.view().substr(0, prefix.size()) == prefix; }

// The next records of a store, to be erased; empty: there are none.
Status records_to_erase(IndexStore& index, std::vector<SumEdit>* edits) {
  Snapshot* snapshot = nullptr;
  if (const Status status = index.snapshot(&snapshot); !status.ok()) return status;
  const std::string prefix = sums_prefix();
  Bytes key;
  Bytes value;
  Status status = snapshot->seek(view(prefix), &key, &value);
  while (status.ok() && begins_with(key, prefix) && edits->size() < kErasedAtOnce) {
    edits->push_back({std::string(key.view()), {}});
    status = snapshot->next(&key, &value);
  }
  snapshot->release();
  return status.ok() || status.code == Code::not_found ? kOk : status;
}

// Not found: the index has no sums of any store.
Status find_header(IndexStore& index, SumsId* id) {
  Snapshot* snapshot = nullptr;
  if (const Status status = index.snapshot(&snapshot); !status.ok()) return status;
  const std::string key = header_key();
  Bytes value;
  Status status = snapshot->get(view(key), &value);
  if (status.ok()) status = read_header(value, id);
  snapshot->release();
  return status;
}

// Sums of one segment of a file; those that are holes have none. `size` is what the file has of it.
Status sum_segment(int fd, std::uint64_t offset, std::vector<BlockSum>* sums, std::uint64_t* size) noexcept {
  std::vector<std::uint8_t> bytes(kSegmentBytes);
  *size = 0;
  while (*size < kSegmentBytes) {
    const ssize_t count = ::pread(fd, bytes.data() + *size, kSegmentBytes - *size, static_cast<off_t>(offset + *size));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return status_of(errno, "read an object to sum it anew");
    if (count == 0) break;
    *size += static_cast<std::uint64_t>(count);
  }
  sums->assign((*size + kBlockBytes - 1) / kBlockBytes, BlockSum{});
  const auto end = static_cast<off_t>(offset + *size);
  for (auto at = static_cast<off_t>(offset); at < end;) {
    off_t data = ::lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno != ENXIO) data = at;  // the file system does not tell
    if (data < 0 || data >= end) break;
    off_t hole = ::lseek(fd, data, SEEK_HOLE);
    hole = hole < 0 ? end : std::min(hole, end);
    const std::uint64_t first = (static_cast<std::uint64_t>(data) - offset) / kBlockBytes;
    for (std::uint64_t block = first; offset + block * kBlockBytes < static_cast<std::uint64_t>(hole); ++block) {
      (*sums)[block] = {backend::crc32c(bytes.data() + block * kBlockBytes, kBlockBytes), true, false};
    }
    at = hole;
  }
  return kOk;
}

}  // namespace

// Without checksums the sums in the index are nobody's from now on; with them they must be those of this store.
void RawFileStore::begin_sums() noexcept {
  if (!keeps_sums()) {
    if (!home_->sums()) return end_start(kOk);
    log(Level::warning, "checksums are off: those of this store in the index mean nothing any more");
    return run_job([home = home_](std::uint64_t&) { return home->keep_sums({}); },
                   [this](Status status, std::uint64_t) {
                     if (!status.ok()) log(Level::error, settings_.path + "/format cannot be written");
                     end_start(status);
                   });
  }
  Instance* instance = nullptr;
  Status status = host_.open("index", PluginKind::index_store, &instance);
  if (!status.ok()) {
    log(Level::error,
        "needs an index for its checksums, and none is wired to it under the role \"index\"; or set checksums = false");
    return end_start(status);
  }
  index_ = static_cast<IndexStore*>(instance);
  sums_.use(*index_);
  SumsId found{};
  status = find_header(*index_, &found);
  if (status.ok() && home_->sums() == found) {
    status = sums_.load_marks();
    if (!status.ok()) log(Level::error, "the marks of checksums cannot be read from the index");
    return end_start(status);
  }
  const bool strange = status.ok() || status.code == Code::corrupt || home_->sums();
  if (!status.ok() && status.code != Code::not_found && status.code != Code::corrupt) {
    log(Level::error, "whose checksums the index has cannot be read");
    return end_start(status);
  }
  if (strange) log(Level::warning, "the index does not have the checksums of this store; they begin anew");
  if (object_count_ != 0) {
    log(Level::warning, std::to_string(object_count_) +
                            " objects have no checksums; each block gets its own when it is written or read, so "
                            "`rideau scrub` gives one to all");
  }
  erase_foreign_sums();
}

void RawFileStore::erase_foreign_sums() noexcept {
  std::vector<SumEdit> edits;
  if (const Status status = records_to_erase(*index_, &edits); !status.ok()) return on_foreign_sums_erased(status);
  if (!edits.empty()) {
    return commit_sums(std::move(edits), Durability::eventual, &RawFileStore::on_foreign_sums_erased);
  }
  SumsId fresh{};
  host_.random(MutableBytes(fresh.data(), fresh.size()));
  fresh_sums_ = fresh;
  edits.push_back({header_key(), header_value(fresh)});
  commit_sums(std::move(edits), Durability::durable, &RawFileStore::on_foreign_sums_erased);
}

// The index first: until the folder names them, sums are nobody's.
void RawFileStore::on_foreign_sums_erased(Status status) noexcept {
  if (!status.ok()) {
    log(Level::error, "the index cannot be written to keep checksums in it");
    return end_start(status);
  }
  if (!fresh_sums_) return erase_foreign_sums();
  run_job([home = home_, sums = fresh_sums_](std::uint64_t&) { return home->keep_sums(sums); },
          [this](Status kept, std::uint64_t) {
            if (!kept.ok()) log(Level::error, settings_.path + "/format cannot be written");
            end_start(kept);
          });
}

void RawFileStore::commit_sums(std::vector<SumEdit> changes, Durability durability,
                               void (RawFileStore::*then)(Status) noexcept) noexcept {
  auto* commit = new SumCommit;
  sum_commit_ = commit;
  commit->store = this;
  commit->then = then;
  commit->changes = std::move(changes);
  std::size_t erases = 0;
  for (const SumEdit& change : commit->changes) {
    const bool erase = change.value.empty();
    erases += erase ? 1 : 0;
    commit->edits.push_back({erase ? Edit::Kind::erase : Edit::Kind::put, view(change.key), view(change.value)});
  }
  commit->batch.edits = commit->edits.data();
  commit->batch.edit_count = static_cast<std::uint32_t>(commit->edits.size());
  commit->batch.frees_space = 2 * erases > commit->edits.size();
  commit->waiting = std::exchange(marking_, {});
  commit->resume = [](Completion* completion) noexcept {
    auto* own = static_cast<SumCommit*>(completion);
    if (backend::LentCall::ends_abandoned(own)) return;
    RawFileStore& store = *own->store;
    store.sum_commit_ended(own->Completion::status);
    store.settle();
  };
  commit->lent = true;
  if (index_->commit(&commit->batch, 1, durability, *commit) == Submitted::pending) return;
  commit->lent = false;
  sum_commit_ended(commit->Completion::status);
}

void RawFileStore::sum_commit_ended(Status status) noexcept {
  const std::unique_ptr<SumCommit> commit(std::exchange(sum_commit_, nullptr));
  if (status.ok()) status = commit->batch.status;
  if (status.code == Code::no_space && !commit->waiting.empty() && commit->then == &RawFileStore::on_sums_settled) {
    // There is always room to erase: blocks without a sum need no mark.
    std::vector<SumEdit> edits;
    status = sums_.capture_instead(&edits);
    if (status.ok() && !edits.empty()) {
      sums_.commit_ended(false);
      while (Op* op = commit->waiting.pop()) marking_.push(*op);
      return commit_sums(std::move(edits), Durability::durable, &RawFileStore::on_sums_erased);
    }
    if (status.ok()) status = {Code::no_space, 0, "no room in the index for the mark of a change"};
  }
  (this->*commit->then)(status);
  // Before the next commit, which would take away marks that nobody holds.
  while (Op* op = commit->waiting.pop()) {
    if (status.ok()) {
      on_marked(*op);
    } else if (op->stage == Op::Stage::open_new) {
      open_failed(*op, status);
    } else {
      finish(*op, status, 0);
    }
  }
}

void RawFileStore::on_sums_settled(Status status) noexcept {
  sums_.commit_ended(status.ok());
  if (!status.ok()) {
    settle_due_ = false;
    if (!sums_fail_) {
      log(Level::error, std::string("checksums cannot be written to the index (") +
                            (status.where != nullptr ? status.where : "") + "); what changes has none meanwhile");
    }
  }
  sums_fail_ = !status.ok();
  bound_sums();
}

void RawFileStore::on_sums_erased(Status status) noexcept { sums_.erased(status.ok()); }

bool RawFileStore::is_flushed(ObjectId id) noexcept {
  const auto found = files_.find(id);
  return found == files_.end() || found->second.changed == 0;
}

// Begins the next commit when there is something for it.
void RawFileStore::settle_sums() noexcept {
  if (sum_commit_ != nullptr) return;
  const bool marks = !marking_.empty();
  // As long as not all is known by name that is not durable, nothing is known to be.
  const bool settling = settle_due_ && overflow_ == 0 && flush_failure_.ok();
  std::vector<SumEdit> edits;
  const auto flushed = [this](ObjectId id) { return is_flushed(id); };
  // The index may be full: first what makes room.
  Status status = sums_.capture(settling, sums_fail_, flushed, &edits);
  if (status.ok() && sums_fail_ && edits.empty()) {
    sums_.commit_ended(true);
    status = sums_.capture(settling, false, flushed, &edits);
  }
  if (!status.ok()) {
    settle_due_ = false;
    sums_.commit_ended(false);
    return watch_sums();
  }
  if (edits.empty()) {
    settle_due_ = false;
    sums_.commit_ended(true);
    return watch_sums();
  }
  // What was erased must not come back: the next object of that id would be held against it.
  const bool erases = std::any_of(edits.begin(), edits.end(), [](const SumEdit& edit) { return edit.value.empty(); });
  commit_sums(std::move(edits), marks || erases ? Durability::durable : Durability::eventual,
              &RawFileStore::on_sums_settled);
}

// Not more in memory than there is room for: what is not durable is made so, and at last sums are given up.
void RawFileStore::bound_sums() noexcept {
  if (sums_.segments_in_memory() <= kSegmentsMax || life_ != Life::running) return;
  if (sums_.segments_in_memory() > 2 * kSegmentsMax) {
    log(Level::warning, "too many checksums wait for the index; some blocks stay without until they are read");
    sums_.give_up();
  }
  if (bounding_) return;
  bounding_ = true;
  flush_for_sums();
}

void RawFileStore::watch_sums() noexcept {
  bound_sums();
  if (sum_timer_ != nullptr || life_ != Life::running || sums_.settled()) return;
  sum_timer_ = new SumTimer;
  sum_timer_->store = this;
  sum_timer_->resume = [](Completion* completion) noexcept {
    auto* own = static_cast<SumTimer*>(completion);
    if (backend::LentCall::ends_abandoned(own)) return;
    RawFileStore& store = *own->store;
    delete own;
    store.sum_timer_ = nullptr;
    store.settle_due_ = true;
    store.sums_.next_round();
    store.settle();
  };
  sum_timer_->lent = true;
  if (host_.sleep(settings_.settle_ns, *sum_timer_) == Submitted::pending) return;
  delete sum_timer_;
  sum_timer_ = nullptr;
}

void RawFileStore::forget_sums() noexcept {
  backend::LentCall::abandon(sum_commit_);
  backend::LentCall::abandon(sum_timer_);
}

// What was being changed when the process before ended is summed anew, one segment after the other, while calls go on.
void RawFileStore::begin_recovery() noexcept {
  for (const auto& [id, segments] : sums_.marked()) {
    ++recovered_objects_;
    sums_.hold(id);
    for (const Range& run : segments.runs()) recovery_.push_back({id, run});
  }
  if (recovery_.empty()) return;
  log(Level::info, std::to_string(recovered_objects_) +
                       " objects were being changed when the store ended; what changed is summed anew");
  recover_more();
}

void RawFileStore::recover_more() noexcept {
  if (recovery_.empty()) {
    if (life_ != Life::running) return;
    log(Level::info, std::to_string(recovered_bytes_) + " bytes of " + std::to_string(recovered_objects_) +
                         " objects were summed anew, " + std::to_string((host_.now_ns() - start_ns_) / 1'000'000) +
                         " ms after the start began");
    return;
  }
  Op& op = take_op(Op::Kind::sum);
  op.offset = recovery_.back().second.begin * kSegmentBytes;
  queue(op, recovery_.back().first);
}

void RawFileStore::sum_anew(Op& op) noexcept {
  op.stage = Op::Stage::job;
  struct Found {
    std::vector<BlockSum> sums;
    std::uint64_t size = 0;
  };
  auto found = std::make_shared<Found>();
  run_job([fd = op.file->fd, offset = op.offset,
           found](std::uint64_t&) { return sum_segment(fd, offset, &found->sums, &found->size); },
          [this, &op, found](Status status, std::uint64_t) {
            if (status.ok()) adopt_sums(op.file->id, op.offset / kBlockBytes, found->sums);
            finish(op, status, found->size);
          });
}

void RawFileStore::on_summed(Op& op, Status status, std::uint64_t bytes) noexcept {
  if (recovery_.empty()) return;  // the store stops
  auto& [id, segments] = recovery_.back();
  recovered_bytes_ += bytes;
  ++segments.begin;
  const ObjectId own = op.file->id;
  if (status.ok() && bytes == kSegmentBytes && segments.begin < segments.end) return recover_more();
  recovery_.pop_back();
  const bool ended = recovery_.empty() || recovery_.back().first != own;
  if (ended) sums_.release(own);
  if (status.code == Code::not_found) sums_.forget_all(own);
  watch_sums();
  recover_more();
}

}  // namespace rideau::raw_file
