// SPDX-License-Identifier: Apache-2.0
#include "store.hpp"

#include <atomic>

namespace minimal {

using rideau::Bytes;
using rideau::Code;
using rideau::Completion;
using rideau::IndexBatch;
using rideau::Status;
using rideau::Submitted;

namespace {

constexpr std::uint32_t kKeyBytesMax = 511;
constexpr std::uint32_t kValueBytesMax = 1u << 20;
constexpr std::uint64_t kBatchBytesMax = 4u << 20;

Bytes bytes_of(const std::string& text) { return Bytes(std::string_view(text)); }

// The share of the space that only batches which free space may use.
std::uint64_t reserve_of(std::uint64_t bytes_max) { return bytes_max / 16; }

bool holds(const Entries& entries, const rideau::Check& check) {
  const auto found = entries.find(std::string(check.key.view()));
  switch (check.kind) {
    case rideau::Check::Kind::absent:
      return found == entries.end();
    case rideau::Check::Kind::present:
      return found != entries.end();
    case rideau::Check::Kind::equals:
      return found != entries.end() && found->second == check.value.view();
  }
  return false;
}

}  // namespace

Status MinimalSnapshot::get(Bytes key, Bytes* value) noexcept {
  const auto found = entries_->find(std::string(key.view()));
  if (found == entries_->end()) return {Code::not_found, 0, "get"};
  *value = bytes_of(found->second);
  return rideau::kOk;
}

Status MinimalSnapshot::seek(Bytes key, Bytes* found, Bytes* value) noexcept {
  at_ = entries_->lower_bound(std::string(key.view()));
  return answer(found, value);
}

Status MinimalSnapshot::next(Bytes* found, Bytes* value) noexcept {
  if (at_ != entries_->end()) ++at_;
  return answer(found, value);
}

Status MinimalSnapshot::answer(Bytes* found, Bytes* value) const noexcept {
  if (at_ == entries_->end()) return {Code::not_found, 0, "the end of the index"};
  *found = bytes_of(at_->first);
  *value = bytes_of(at_->second);
  return rideau::kOk;
}

// Blocking work goes to a thread of the host. The job owns all memory that it touches, and its completion arrives on
// the thread of the node, where it frees itself. destroy() may come at any moment (a power cut): a job that has not
// begun then does nothing, and one that runs is waited for, so that it cannot meet the next instance in the file.
struct MinimalIndexStore::Disk : rideau::Job, rideau::Completion {
  enum class Stage { queued, running, ended, abandoned };
  using Work = Status (*)(Disk&);

  Disk(MinimalIndexStore& owner, Work blocking, void (*arrived)(Completion*) noexcept)
      : store(&owner), path(owner.options_.path), work(blocking) {
    run = [](rideau::Job* job) noexcept { static_cast<Disk*>(job)->run_here(); };
    resume = arrived;
  }

  void run_here() noexcept {
    Stage expected = Stage::queued;
    if (!stage.compare_exchange_strong(expected, Stage::running)) return;
    rideau::Job::status = work(*this);
    stage.store(Stage::ended);
    stage.notify_all();
  }
  void abandon() noexcept {
    store = nullptr;
    Stage expected = Stage::queued;
    if (stage.compare_exchange_strong(expected, Stage::abandoned)) return;
    stage.wait(Stage::running);
  }

  MinimalIndexStore* store;  // null: destroyed
  std::string path;
  Work work;
  std::atomic<Stage> stage{Stage::queued};
  std::string temporary;
  std::string image;
  std::uint64_t sequence = 0;  // the state that `image` holds
  int lock = -1;
};

MinimalIndexStore::~MinimalIndexStore() {
  if (disk_ != nullptr) disk_->abandon();
  unlock();
}

Submitted MinimalIndexStore::start(Completion& done) noexcept {
  const auto load = [](Disk& disk) {
    const Status locked = lock_file(disk.path, &disk.lock);
    return locked.ok() ? read_file(disk.path, &disk.image) : locked;
  };
  disk_ = new Disk(*this, load, [](Completion* arrived) noexcept {
    auto* disk = static_cast<Disk*>(arrived);
    if (disk->store != nullptr)
      disk->store->loaded(*disk);
    else if (disk->lock >= 0)
      close_file(disk->lock);
    delete disk;
  });
  starting_ = &done;
  host_.run_blocking(*disk_, *disk_);
  return Submitted::pending;
}

// The host adds the name of the instance, and shows the last complaint when create() or start() fails.
void MinimalIndexStore::complain(const char* what) {
  const std::string line = options_.path + what;
  host_.log(rideau::Level::error, std::string_view(line));
}

void MinimalIndexStore::loaded(Disk& disk) noexcept {
  Status status = disk.Completion::status;
  disk_ = nullptr;
  lock_ = disk.lock;
  if (status.ok() && !decode(disk.image, entries_.get())) {
    complain(" is not an index of this plugin, or damaged");
    status = {Code::corrupt, 0, "read the index"};
  }
  for (const auto& [key, value] : *entries_) bytes_used_ += key.size() + value.size();
  running_ = status.ok();
  if (!running_) unlock();
  host_.complete(*starting_, status, 0);
}

void MinimalIndexStore::unlock() {
  if (lock_ >= 0) close_file(lock_);
  lock_ = -1;
}

Submitted MinimalIndexStore::stop(Completion& done) noexcept {
  running_ = false;
  if (disk_ == nullptr && (durable_ == sequence_ || !failed_.ok())) {
    unlock();
    return done.finish(failed_);
  }
  stopping_ = &done;  // written() completes it, after all commits
  write_if_needed();
  return Submitted::pending;
}

rideau::IndexLimits MinimalIndexStore::limits() const noexcept {
  rideau::IndexLimits limits;
  limits.key_bytes_max = kKeyBytesMax;
  limits.value_bytes_max = kValueBytesMax;
  limits.batch_bytes_max = kBatchBytesMax;
  return limits;
}

Status MinimalIndexStore::snapshot(rideau::Snapshot** out) noexcept {
  if (!running_) return {Code::closed, 0, "snapshot"};
  *out = new MinimalSnapshot(entries_);
  return rideau::kOk;
}

// Snapshots keep what they saw: the first change after one works on a copy.
Entries& MinimalIndexStore::entries_to_change() {
  if (entries_.use_count() > 1) entries_ = std::make_shared<Entries>(*entries_);
  return *entries_;
}

// Limits and space are judged for the whole call, before anything of it is applied.
Status MinimalIndexStore::judge(const IndexBatch* batches, std::uint32_t count) const noexcept {
  std::uint64_t bytes = 0;  // that the edits name
  std::uint64_t grows = 0;  // at most; what they replace or erase is not counted against it
  bool only_frees = true;
  for (std::uint32_t b = 0; b < count; ++b) {
    only_frees = only_frees && batches[b].frees_space;
    for (std::uint32_t i = 0; i < batches[b].check_count; ++i) {
      const std::size_t key_size = batches[b].checks[i].key.size;
      if (key_size == 0) return {Code::invalid, 0, "commit: an empty key in a check"};
      if (key_size > kKeyBytesMax) return {Code::too_large, 0, "commit: a key in a check"};
    }
    for (std::uint32_t i = 0; i < batches[b].edit_count; ++i) {
      const rideau::Edit& edit = batches[b].edits[i];
      const bool puts = edit.kind == rideau::Edit::Kind::put;
      if (edit.key.size == 0) return {Code::invalid, 0, "commit: an empty key"};
      if (edit.key.size > kKeyBytesMax) return {Code::too_large, 0, "commit: a key"};
      if (puts && edit.value.size > kValueBytesMax) return {Code::too_large, 0, "commit: a value"};
      bytes += edit.key.size + (puts ? edit.value.size : 0);
      grows += puts ? edit.key.size + edit.value.size : 0;
    }
  }
  if (bytes > kBatchBytesMax) return {Code::too_large, 0, "commit"};
  const std::uint64_t usable = options_.bytes_max - (only_frees ? 0 : reserve_of(options_.bytes_max));
  if (grows > 0 && bytes_used_ + grows > usable) return {Code::no_space, 0, "commit"};
  return rideau::kOk;
}

// Either all edits of the batch or none.
Status MinimalIndexStore::apply(const IndexBatch& batch) noexcept {
  for (std::uint32_t i = 0; i < batch.check_count; ++i) {
    if (!holds(*entries_, batch.checks[i])) return {Code::check_failed, 0, "commit"};
  }
  Entries& entries = entries_to_change();
  for (std::uint32_t i = 0; i < batch.edit_count; ++i) {
    const rideau::Edit& edit = batch.edits[i];
    const std::string key(edit.key.view());
    if (const auto old = entries.find(key); old != entries.end()) {
      bytes_used_ -= key.size() + old->second.size();
      entries.erase(old);
    }
    if (edit.kind == rideau::Edit::Kind::erase) continue;
    entries.emplace(key, edit.value.view());
    bytes_used_ += key.size() + edit.value.size;
  }
  return rideau::kOk;
}

Submitted MinimalIndexStore::commit(IndexBatch* batches, std::uint32_t count, rideau::Durability durability,
                                    Completion& done) noexcept {
  Status refused = failed_;
  if (!running_) refused = {Code::closed, 0, "commit"};
  if (refused.ok()) refused = judge(batches, count);
  if (!refused.ok()) {
    for (std::uint32_t b = 0; b < count; ++b) {
      batches[b].status = refused;
      batches[b].sequence = 0;
    }
    return done.finish(refused);
  }
  for (std::uint32_t b = 0; b < count; ++b) {
    batches[b].status = apply(batches[b]);
    batches[b].sequence = batches[b].status.ok() ? ++sequence_ : 0;
  }
  // The result is at hand: say so, and nothing more comes. Only a durable commit has to wait for the file.
  if (durability == rideau::Durability::eventual || durable_ == sequence_) return done.finish(rideau::kOk, sequence_);
  waiting_.push_back({&done, sequence_});
  write_if_needed();
  return Submitted::pending;
}

// One write at a time; commits that come meanwhile share the next one.
void MinimalIndexStore::write_if_needed() noexcept {
  if (disk_ != nullptr || durable_ == sequence_) return;
  const auto save = [](Disk& disk) { return replace_file(disk.path, disk.temporary, disk.image); };
  disk_ = new Disk(*this, save, [](Completion* arrived) noexcept {
    auto* disk = static_cast<Disk*>(arrived);
    if (disk->store != nullptr) disk->store->written(*disk);
    delete disk;
  });
  disk_->temporary = options_.path + ".new";
  disk_->image = encode(*entries_);
  disk_->sequence = sequence_;
  host_.run_blocking(*disk_, *disk_);
}

void MinimalIndexStore::written(Disk& disk) noexcept {
  disk_ = nullptr;
  const Status status = disk.Completion::status;
  if (status.ok()) {
    durable_ = disk.sequence;
  } else {
    failed_ = status;
    complain(" cannot be written; the store fails from now on");
  }
  std::vector<Waiting> still;
  for (const Waiting& commit : waiting_) {
    if (failed_.ok() && commit.sequence > durable_)
      still.push_back(commit);
    else
      host_.complete(*commit.done, failed_, commit.sequence);
  }
  waiting_ = std::move(still);
  if (failed_.ok() && (!waiting_.empty() || stopping_ != nullptr)) write_if_needed();
  if (stopping_ == nullptr || disk_ != nullptr) return;
  unlock();
  host_.complete(*stopping_, failed_, 0);
}

Status MinimalIndexStore::space(rideau::IndexSpace* out) noexcept {
  if (!running_) return {Code::closed, 0, "space"};
  const std::uint64_t usable = options_.bytes_max - reserve_of(options_.bytes_max);
  out->bytes_total = options_.bytes_max;
  out->bytes_free = usable > bytes_used_ ? usable - bytes_used_ : 0;
  out->entry_count = entries_->size();
  return rideau::kOk;
}

}  // namespace minimal
