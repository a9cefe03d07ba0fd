// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_index.hpp"

#include <algorithm>

namespace rideau::sim {
namespace {

struct Call {
  IndexBatch* batches = nullptr;
  std::uint32_t batch_count = 0;
  bool durable = false;
  bool frees_space = false;
  std::uint64_t edit_count = 0;
  std::uint64_t put_bytes = 0;
  Completion* done = nullptr;
  Status status{};
  std::uint64_t value = 0;
};

Status key_status(Bytes key, const IndexLimits& limits) noexcept {
  if (key.size == 0) return {Code::invalid, 0, "empty key"};
  if (key.size > limits.key_bytes_max) return {Code::too_large, 0, "key over the limit"};
  return kOk;
}

Status measure(Call& call, const IndexLimits& limits) noexcept {
  std::uint64_t bytes = 0;
  call.frees_space = call.batch_count > 0;
  for (std::uint32_t b = 0; b < call.batch_count; ++b) {
    const IndexBatch& batch = call.batches[b];
    call.frees_space = call.frees_space && batch.frees_space;
    call.edit_count += batch.edit_count;
    for (std::uint32_t i = 0; i < batch.check_count; ++i) {
      if (const Status status = key_status(batch.checks[i].key, limits); !status.ok()) return status;
    }
    for (std::uint32_t i = 0; i < batch.edit_count; ++i) {
      const Edit& edit = batch.edits[i];
      if (const Status status = key_status(edit.key, limits); !status.ok()) return status;
      bytes += edit.key.size;
      if (edit.kind == Edit::Kind::erase) continue;
      if (edit.value.size > limits.value_bytes_max) return {Code::too_large, 0, "value over the limit"};
      bytes += edit.value.size;
      call.put_bytes += SimIndexDisk::bytes_of(edit.key.view(), edit.value.view());
    }
  }
  if (bytes > limits.batch_bytes_max) return {Code::too_large, 0, "commit over the limit"};
  return kOk;
}

void fail(Call& call, Status status) noexcept {
  for (std::uint32_t b = 0; b < call.batch_count; ++b) {
    call.batches[b].status = status;
    call.batches[b].sequence = 0;
  }
  call.status = status;
}

}  // namespace

class SimSnapshot;

class SimIndex final : public IndexStore {
 public:
  SimIndex(Host& host, SimIndexDisk& disk) : host_(host), disk_(disk) {}

  Submitted start(Completion& done) noexcept override;
  Submitted stop(Completion& done) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void destroy() noexcept override;
  IndexLimits limits() const noexcept override { return disk_.options_.limits; }
  Status snapshot(Snapshot** out) noexcept override;
  Submitted commit(IndexBatch* batches, std::uint32_t count, Durability durability, Completion& done) noexcept override;
  Status space(IndexSpace* out) noexcept override;

 private:
  friend class SimSnapshot;
  enum class State { made, running, stopping, stopped };
  enum class Step { idle, applying, syncing, last_sync };

  ~SimIndex() = default;
  void sleep(Step step, std::uint64_t min_ns, std::uint64_t max_ns, std::uint64_t more_ns) noexcept;
  void woken() noexcept;
  void next_group() noexcept;
  void apply_group() noexcept;
  void apply(Call& call) noexcept;
  void end_group() noexcept;
  void end_stop() noexcept;

  Host& host_;
  SimIndexDisk& disk_;
  State state_ = State::made;
  Step step_ = Step::idle;
  SimIndexDisk::Errand* errand_ = nullptr;
  std::uint64_t first_version_ = 0;  // sequences count from here
  Status broken_{};
  std::deque<Call> queue_;
  std::vector<Call> group_;
  Completion* stop_done_ = nullptr;
  std::vector<SimSnapshot*> snapshots_;
};

class SimSnapshot final : public Snapshot {
 public:
  SimSnapshot(SimIndex& index, SimIndexDisk& disk)
      : index_(index), disk_(disk), version_(disk.applied_), seen_(disk.snapshots_.insert(disk.applied_)) {}
  ~SimSnapshot() { disk_.snapshots_.erase(seen_); }
  SimSnapshot(const SimSnapshot&) = delete;
  SimSnapshot& operator=(const SimSnapshot&) = delete;

  Status get(Bytes key, Bytes* value) noexcept override {
    const std::string* found = disk_.find(key.view(), version_);
    if (found == nullptr) return {Code::not_found, 0, "get from the index"};
    *value = Bytes(std::string_view(*found));
    return kOk;
  }
  Status seek(Bytes key, Bytes* found, Bytes* value) noexcept override {
    return settle(disk_.entries_.lower_bound(key.view()), found, value);
  }
  Status next(Bytes* found, Bytes* value) noexcept override {
    if (!sought_) return {Code::invalid, 0, "next without seek"};
    if (at_end_) return {Code::not_found, 0, "end of the index"};
    return settle(std::next(place_), found, value);
  }
  void release() noexcept override {
    std::erase(index_.snapshots_, this);
    delete this;
  }

 private:
  // The entry stays in the map while this snapshot sees it, so the place stays valid between calls.
  Status settle(SimIndexDisk::Entries::const_iterator at, Bytes* found, Bytes* value) noexcept {
    sought_ = true;
    for (; at != disk_.entries_.end(); ++at) {
      const SimIndexDisk::Version* version = SimIndexDisk::at(at->second.get(), version_);
      if (version == nullptr || !version->value) continue;
      place_ = at;
      at_end_ = false;
      *found = Bytes(std::string_view(at->first));
      *value = Bytes(std::string_view(*version->value));
      return kOk;
    }
    at_end_ = true;
    return {Code::not_found, 0, "end of the index"};
  }

  SimIndex& index_;
  SimIndexDisk& disk_;
  const std::uint64_t version_;
  const std::multiset<std::uint64_t>::iterator seen_;
  SimIndexDisk::Entries::const_iterator place_{};
  bool sought_ = false;
  bool at_end_ = true;
};

Submitted SimIndex::start(Completion& done) noexcept {
  if (state_ != State::made) return done.finish({Code::invalid, 0, "start the index twice"});
  if (disk_.in_use_) {
    state_ = State::stopped;
    host_.log(Level::error, "sim index: the disk is in use by another instance");
    return done.finish({Code::exists, 0, "index is in use by another instance"});
  }
  disk_.in_use_ = true;
  disk_.errands_.push_back(std::make_unique<SimIndexDisk::Errand>());
  errand_ = disk_.errands_.back().get();
  errand_->index = this;
  errand_->resume = [](Completion* woken) noexcept {
    SimIndex* index = static_cast<SimIndexDisk::Errand*>(woken)->index;
    if (index != nullptr) index->woken();
  };
  first_version_ = disk_.applied_;
  state_ = State::running;
  return done.finish(kOk);
}

Submitted SimIndex::stop(Completion& done) noexcept {
  if (state_ == State::stopping) return done.finish({Code::invalid, 0, "stop the index twice"});
  if (state_ != State::running) {
    state_ = State::stopped;
    return done.finish(kOk);
  }
  state_ = State::stopping;
  stop_done_ = &done;
  for (const Call& call : queue_) host_.complete(*call.done, {Code::closed, 0, "index is stopping"}, 0);
  queue_.clear();
  if (step_ == Step::idle) end_stop();
  return Submitted::pending;
}

void SimIndex::end_stop() noexcept {
  sleep(Step::last_sync, disk_.options_.sync_ns_min, disk_.options_.sync_ns_max, 0);
}

void SimIndex::cancel(Completion& pending) noexcept {
  const auto found =
      std::find_if(queue_.begin(), queue_.end(), [&](const Call& call) { return call.done == &pending; });
  if (found == queue_.end()) return;
  queue_.erase(found);
  host_.complete(pending, {Code::cancelled, 0, "commit to the index"}, 0);
}

void SimIndex::destroy() noexcept {
  for (SimSnapshot* snapshot : snapshots_) delete snapshot;
  if (errand_ != nullptr) {
    errand_->index = nullptr;
    disk_.in_use_ = false;
  }
  delete this;
}

Status SimIndex::snapshot(Snapshot** out) noexcept {
  if (state_ != State::running) return {Code::closed, 0, "index is not running"};
  auto* made = new SimSnapshot(*this, disk_);
  snapshots_.push_back(made);
  *out = made;
  return kOk;
}

Status SimIndex::space(IndexSpace* out) noexcept {
  if (state_ != State::running) return {Code::closed, 0, "index is not running"};
  out->bytes_total = disk_.options_.bytes_total;
  out->bytes_free = disk_.bytes_for(false);
  out->entry_count = disk_.entry_count_;
  return kOk;
}

Submitted SimIndex::commit(IndexBatch* batches, std::uint32_t count, Durability durability, Completion& done) noexcept {
  if (state_ != State::running) return done.finish({Code::closed, 0, "index is not running"});
  if (queue_.size() >= disk_.options_.calls_queued_max) {
    return done.finish({Code::busy, 0, "too many commits are queued"});
  }
  Call call;
  call.batches = batches;
  call.batch_count = count;
  call.durable = durability == Durability::durable;
  call.done = &done;
  const Status status = measure(call, disk_.options_.limits);
  if (!status.ok()) return done.finish(status);
  queue_.push_back(call);
  if (step_ == Step::idle) next_group();
  return Submitted::pending;
}

void SimIndex::sleep(Step step, std::uint64_t min_ns, std::uint64_t max_ns, std::uint64_t more_ns) noexcept {
  std::uint64_t dice = 0;
  host_.random(MutableBytes(&dice, sizeof dice));
  const std::uint64_t ns = (min_ns + dice % (max_ns - min_ns + 1) + more_ns) * disk_.slowness_;
  step_ = step;
  errand_->next = nullptr;
  if (host_.sleep(ns, *errand_) == Submitted::finished) host_.complete(*errand_, errand_->status, 0);
}

void SimIndex::next_group() noexcept {
  std::uint64_t edits = 0;
  while (!queue_.empty() && group_.size() < disk_.options_.group_calls_max) {
    edits += queue_.front().edit_count;
    group_.push_back(queue_.front());
    queue_.pop_front();
  }
  sleep(Step::applying, disk_.options_.apply_ns_min, disk_.options_.apply_ns_max, edits * disk_.options_.edit_ns);
}

void SimIndex::woken() noexcept {
  switch (step_) {
    case Step::idle:
      break;
    case Step::applying:
      apply_group();
      break;
    case Step::syncing:
      disk_.durable_ = disk_.applied_;
      disk_.bury();
      end_group();
      break;
    case Step::last_sync:
      step_ = Step::idle;
      state_ = State::stopped;
      if (broken_.ok()) disk_.durable_ = disk_.applied_;
      disk_.bury();
      host_.complete(*stop_done_, broken_, 0);
      break;
  }
}

void SimIndex::apply_group() noexcept {
  if (disk_.fail_next_) broken_ = {Code::io_error, 0, "commit to the index"};
  disk_.fail_next_ = false;
  bool durable = false;
  for (Call& call : group_) {
    apply(call);
    durable = durable || (call.durable && call.status.ok());
  }
  disk_.bury();
  if (durable) {
    sleep(Step::syncing, disk_.options_.sync_ns_min, disk_.options_.sync_ns_max, 0);
  } else {
    end_group();
  }
}

void SimIndex::apply(Call& call) noexcept {
  if (!broken_.ok()) return fail(call, broken_);
  // As with a real map, an ordinary erase needs room too.
  const std::uint64_t edits = call.frees_space ? 0 : call.edit_count * SimIndexDisk::bytes_of({}, {});
  const std::uint64_t needed = call.put_bytes + edits;
  if (needed > disk_.bytes_for(call.frees_space)) {
    return fail(call, {Code::no_space, 0, "index is full"});
  }
  for (std::uint32_t b = 0; b < call.batch_count; ++b) {
    IndexBatch& batch = call.batches[b];
    const bool holds = std::all_of(batch.checks, batch.checks + batch.check_count,
                                   [&](const Check& check) { return disk_.holds(check); });
    batch.status = holds ? kOk : Status{Code::check_failed, 0, "check of a batch"};
    batch.sequence = 0;
    if (!holds) continue;
    disk_.apply(batch);
    batch.sequence = disk_.applied_ - first_version_;
  }
  call.value = disk_.applied_ - first_version_;
}

void SimIndex::end_group() noexcept {
  std::vector<Call> ended;
  ended.swap(group_);
  step_ = Step::idle;
  if (state_ == State::running && !queue_.empty()) next_group();
  for (const Call& call : ended) host_.complete(*call.done, call.status, call.value);
  if (state_ == State::stopping) end_stop();
}

namespace {

constexpr ConfigKey kKeys[] = {
    {"disk", KeyType::integer, "", "", 0, 0, true, "address of the SimIndexDisk"},
};

Status create(Host& host, const ConfigValue* values, Instance** out) noexcept {
  auto* disk = reinterpret_cast<SimIndexDisk*>(static_cast<std::uintptr_t>(values[0].integer));
  if (disk == nullptr) return {Code::invalid, 0, "disk of a simulated index"};
  *out = make_sim_index(host, *disk);
  return kOk;
}

}  // namespace

IndexStore* make_sim_index(Host& host, SimIndexDisk& disk) { return new SimIndex(host, disk); }

const PluginDescriptor kSimIndexDescriptor{
    sizeof(PluginDescriptor), PluginKind::index_store, "sim", "1", "the simulated index", 0, kKeys, 1, 0, &create};

}  // namespace rideau::sim
