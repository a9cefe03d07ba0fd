// SPDX-License-Identifier: Apache-2.0
#include "store.hpp"

#include <algorithm>

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
    case rideau::Check::Kind::absent: return found == entries.end();
    case rideau::Check::Kind::present: return found != entries.end();
    case rideau::Check::Kind::equals: return found != entries.end() && found->second == check.value.view();
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

// Blocking work goes to a thread of the host. The job owns all memory that it touches: after a power cut the store may be
// gone while the job still runs. The completion arrives on the thread of the node, and there the job frees itself.
struct MinimalIndexStore::Disk : rideau::Job, rideau::Completion {
  MinimalIndexStore* store = nullptr;
  std::string path;
  std::string temporary;
  std::string image;
  std::uint64_t sequence = 0;        // the state that `image` holds
};

Submitted MinimalIndexStore::start(Completion& done) noexcept {
  auto* disk = new Disk;
  disk->store = this;
  disk->path = options_.path;
  disk->run = [](rideau::Job* job) noexcept {
    auto* self = static_cast<Disk*>(job);
    self->rideau::Job::status = read_file(self->path, &self->image);
  };
  disk->resume = [](Completion* arrived) noexcept {
    auto* self = static_cast<Disk*>(arrived);
    self->store->loaded(*self);
    delete self;
  };
  starting_ = &done;
  host_.run_blocking(*disk, *disk);
  return Submitted::pending;
}

// The host adds the name of the instance, and shows the last complaint when create() or start() fails.
void MinimalIndexStore::complain(const char* what) {
  const std::string line = options_.path + what;
  host_.log(rideau::Level::error, std::string_view(line));
}

void MinimalIndexStore::loaded(Disk& disk) noexcept {
  Status status = disk.Completion::status;
  if (status.ok() && !decode(disk.image, entries_.get())) {
    complain(" is not an index of this plugin, or damaged");
    status = {Code::corrupt, 0, "read the index"};
  }
  for (const auto& [key, value] : *entries_) bytes_used_ += key.size() + value.size();
  host_.complete(*starting_, status, 0);
}

Submitted MinimalIndexStore::stop(Completion& done) noexcept {
  if (writing_ == nullptr && (durable_ == sequence_ || !failed_.ok())) return done.finish(failed_);
  stopping_ = &done;                 // written() completes it, after all commits
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
  *out = new MinimalSnapshot(entries_);
  return rideau::kOk;
}

// Snapshots keep what they saw: the first change after one works on a copy.
Entries& MinimalIndexStore::entries_to_change() {
  if (entries_.use_count() > 1) entries_ = std::make_shared<Entries>(*entries_);
  return *entries_;
}

// Either all edits of the batch or none.
Status MinimalIndexStore::apply(IndexBatch& batch) noexcept {
  for (std::uint32_t i = 0; i < batch.check_count; ++i) {
    if (!holds(*entries_, batch.checks[i])) return {Code::check_failed, 0, "commit"};
  }
  std::uint64_t grows = 0;           // at most; what the edits replace or erase is not counted against it
  for (std::uint32_t i = 0; i < batch.edit_count; ++i) {
    const rideau::Edit& edit = batch.edits[i];
    if (edit.key.size == 0) return {Code::invalid, 0, "commit: an empty key"};
    if (edit.key.size > kKeyBytesMax) return {Code::too_large, 0, "commit: a key"};
    if (edit.kind == rideau::Edit::Kind::erase) continue;
    if (edit.value.size > kValueBytesMax) return {Code::too_large, 0, "commit: a value"};
    grows += edit.key.size + edit.value.size;
  }
  const std::uint64_t usable = options_.bytes_max - (batch.frees_space ? 0 : reserve_of(options_.bytes_max));
  if (grows > 0 && bytes_used_ + grows > usable) return {Code::no_space, 0, "commit"};

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
  if (!failed_.ok()) return done.finish(failed_);
  if (stopping_ != nullptr) return done.finish({Code::closed, 0, "commit"});
  std::uint64_t bytes = 0;
  for (std::uint32_t b = 0; b < count; ++b) {
    for (std::uint32_t i = 0; i < batches[b].edit_count; ++i) {
      const rideau::Edit& edit = batches[b].edits[i];
      bytes += edit.key.size + (edit.kind == rideau::Edit::Kind::put ? edit.value.size : 0);
    }
  }
  if (bytes > kBatchBytesMax) return done.finish({Code::too_large, 0, "commit"});

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
  if (writing_ != nullptr || durable_ == sequence_) return;
  auto* disk = new Disk;
  disk->store = this;
  disk->path = options_.path;
  std::uint64_t unique = 0;          // a write of an instance that a power cut ended must not meet this one
  host_.random(rideau::MutableBytes(&unique, sizeof unique));
  disk->temporary = options_.path + "." + std::to_string(unique) + ".new";
  disk->image = encode(*entries_);
  disk->sequence = sequence_;
  disk->run = [](rideau::Job* job) noexcept {
    auto* self = static_cast<Disk*>(job);
    self->rideau::Job::status = replace_file(self->path, self->temporary, self->image);
  };
  disk->resume = [](Completion* arrived) noexcept {
    auto* self = static_cast<Disk*>(arrived);
    self->store->written(*self);
    delete self;
  };
  writing_ = disk;
  host_.run_blocking(*disk, *disk);
}

void MinimalIndexStore::written(Disk& disk) noexcept {
  writing_ = nullptr;
  const Status status = disk.Completion::status;
  if (status.ok()) {
    durable_ = disk.sequence;
  } else {
    failed_ = status;
    complain(" cannot be written; the store fails from now on");
  }
  std::vector<Waiting> still;
  for (const Waiting& commit : waiting_) {
    if (failed_.ok() && commit.sequence > durable_) still.push_back(commit);
    else host_.complete(*commit.done, failed_, commit.sequence);
  }
  waiting_ = std::move(still);
  if (failed_.ok() && (!waiting_.empty() || stopping_ != nullptr)) write_if_needed();
  if (stopping_ != nullptr && writing_ == nullptr) host_.complete(*stopping_, failed_, 0);
}

Status MinimalIndexStore::space(rideau::IndexSpace* out) noexcept {
  const std::uint64_t usable = options_.bytes_max - reserve_of(options_.bytes_max);
  out->bytes_total = options_.bytes_max;
  out->bytes_free = usable > bytes_used_ ? usable - bytes_used_ : 0;
  out->entry_count = entries_->size();
  return rideau::kOk;
}

}  // namespace minimal
