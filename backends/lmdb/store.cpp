// SPDX-License-Identifier: Apache-2.0
#include "store.hpp"

#include <algorithm>

namespace rideau::lmdb {
namespace {

constexpr std::uint32_t kKeyBytesMax = 511;  // what LMDB was built with
constexpr std::uint32_t kValueBytesMax = 1u << 20;
constexpr std::uint64_t kCommitBytesMax = 64u << 20;
constexpr std::size_t kCallsQueuedMax = 8192;
// One transaction takes this much from the queue, so that nobody waits long for what others brought.
constexpr std::uint64_t kGroupEditsMax = 32768;
constexpr std::uint64_t kGroupBytesMax = 32u << 20;
constexpr std::uint64_t kEntryOverhead = 16;  // LMDB's header and pointer of an entry, and evenness
constexpr std::uint64_t kPagesKeptNs = 1'000'000'000;
constexpr std::uint64_t kLargeValue = 1024;  // from about half a page on a value gets pages of its own

}  // namespace

Store::Store(Host& host, const Environment::Options& options)
    : host_(host),
      options_(options),
      committer_(environment_),
      snapshots_(environment_),
      errand_(new Errand),
      pause_(new Pause) {
  pause_->store = this;
  pause_->resume = &Store::paused;
  errand_->store = this;
  errand_->Job::run = &Store::run;
  errand_->Completion::resume = &Store::resumed;
}

IndexLimits Store::limits() const noexcept { return {kKeyBytesMax, kValueBytesMax, kCommitBytesMax}; }

void Store::launch(Work work) noexcept {
  errand_->work = work;
  errand_->phase.store(Phase::waiting, std::memory_order_release);
  host_.run_blocking(static_cast<Job&>(*errand_), static_cast<Completion&>(*errand_));
}

// On a thread of the host.
void Store::run(Job* job) noexcept {
  auto* errand = static_cast<Errand*>(job);
  Phase expected = Phase::waiting;
  if (!errand->phase.compare_exchange_strong(expected, Phase::running, std::memory_order_acq_rel)) return;
  Store& store = *errand->store;  // destroy() waits while the phase is `running`
  job->status = kOk;
  switch (errand->work) {
    case Work::open:
      job->status = store.environment_.open(store.host_, store.options_);
      break;
    case Work::commit:
      store.committer_.run(errand->calls.data(), errand->calls.size(), errand->oldest_snapshot);
      break;
    case Work::sync:
      job->status = status_of(::mdb_env_sync(store.environment_.handle(), 1), "sync the index");
      break;
  }
  errand->phase.store(Phase::finished, std::memory_order_release);
  errand->phase.notify_one();
}

// On the node's thread, when a job has ended.
void Store::resumed(Completion* done) noexcept {
  auto* errand = static_cast<Errand*>(done);
  if (errand->store == nullptr) {
    delete errand;
    return;
  }
  Store& store = *errand->store;
  errand->phase.store(Phase::idle, std::memory_order_relaxed);
  switch (errand->work) {
    case Work::open:
      store.opened(errand->Completion::status);
      break;
    case Work::commit:
      store.committed();
      break;
    case Work::sync:
      store.state_ = State::stopped;
      store.host_.complete(*store.stop_done_, errand->Completion::status, 0);
      break;
  }
}

Submitted Store::start(Completion& done) noexcept {
  if (state_ != State::made) return done.finish({Code::invalid, 0, "start the index twice"});
  state_ = State::starting;
  start_done_ = &done;
  launch(Work::open);
  return Submitted::pending;
}

void Store::opened(Status status) noexcept {
  if (status.ok() && !options_.sync) {
    host_.log(Level::warning, "lmdb: sync = false: a power cut can destroy this index; for benchmarks only");
  }
  const bool stopping = state_ == State::stopping;
  if (!stopping) state_ = status.ok() ? State::running : State::stopped;
  host_.complete(*start_done_, status, 0);
  if (stopping) finish_stop();
}

Submitted Store::stop(Completion& done) noexcept {
  if (state_ == State::stopping) return done.finish({Code::invalid, 0, "stop the index twice"});
  if (state_ == State::made || state_ == State::stopped) {
    state_ = State::stopped;
    return done.finish(kOk);
  }
  state_ = State::stopping;
  stop_done_ = &done;
  close_queue();
  if (pause_->pending) host_.cancel(*pause_);
  if (!busy()) finish_stop();
  return Submitted::pending;
}

void Store::finish_stop() noexcept {
  if (environment_.handle() != nullptr && !options_.sync) {
    launch(Work::sync);
    return;
  }
  state_ = State::stopped;
  host_.complete(*stop_done_, kOk, 0);
}

// The map grows into the process's resident memory with each page that is looked at, although these are the kernel's
// cached pages of a file. While the index is in use they are let go once a second; those that are needed come back
// without I/O.
void Store::let_pages_go_later() noexcept {
  if (pause_->pending || state_ != State::running) return;
  pause_->pending = host_.sleep(kPagesKeptNs, *pause_) == Submitted::pending;
}

void Store::paused(Completion* done) noexcept {
  auto* pause = static_cast<Pause*>(done);
  pause->pending = false;
  if (pause->store == nullptr) {
    delete pause;
  } else if (pause->status.ok() && pause->store->state_ == State::running) {
    pause->store->environment_.let_pages_go();
  }
}

void Store::close_queue() noexcept {
  for (const Call& call : queue_) host_.complete(*call.done, {Code::closed, 0, "index is stopping"}, 0);
  queue_.clear();
}

void Store::cancel(Completion& pending) noexcept {
  const auto found =
      std::find_if(queue_.begin(), queue_.end(), [&](const Call& call) { return call.done == &pending; });
  if (found == queue_.end()) return;  // its transaction runs already
  queue_.erase(found);
  host_.complete(pending, {Code::cancelled, 0, "commit to the index"}, 0);
}

void Store::destroy() noexcept {
  // A job that has not begun will not; one that runs must end before its memory goes.
  Phase phase = Phase::waiting;
  if (!errand_->phase.compare_exchange_strong(phase, Phase::abandoned, std::memory_order_acq_rel)) {
    while (phase == Phase::running) {
      errand_->phase.wait(Phase::running, std::memory_order_acquire);
      phase = errand_->phase.load(std::memory_order_acquire);
    }
  }
  if (pause_->pending) {
    pause_->store = nullptr;
    host_.cancel(*pause_);
  } else {
    delete pause_;
  }
  snapshots_.clear();
  environment_.close();
  if (phase == Phase::idle) {
    delete errand_;
  } else {
    errand_->store = nullptr;
  }
  delete this;
}

Status Store::snapshot(Snapshot** out) noexcept {
  if (state_ != State::running) return {Code::closed, 0, "index is not running"};
  let_pages_go_later();
  return snapshots_.take(options_.max_readers, out);
}

// Whether the call is within the limits, and how much it will need.
Status Store::measure(IndexBatch* batches, std::uint32_t count, Call* call) const noexcept {
  call->batches = batches;
  call->batch_count = count;
  call->frees_space = count > 0;
  std::uint64_t bytes = 0;
  const auto key_status = [](Bytes key) -> Status {
    if (key.size == 0) return {Code::invalid, 0, "empty key"};
    if (key.size > kKeyBytesMax) return {Code::too_large, 0, "key over the limit"};
    return kOk;
  };
  for (std::uint32_t b = 0; b < count; ++b) {
    const IndexBatch& batch = batches[b];
    call->frees_space = call->frees_space && batch.frees_space;
    call->edit_count += batch.edit_count;
    for (std::uint32_t i = 0; i < batch.check_count; ++i) {
      if (const Status status = key_status(batch.checks[i].key); !status.ok()) return status;
    }
    for (std::uint32_t i = 0; i < batch.edit_count; ++i) {
      const Edit& edit = batch.edits[i];
      if (const Status status = key_status(edit.key); !status.ok()) return status;
      bytes += edit.key.size;
      if (edit.kind == Edit::Kind::erase) continue;
      if (edit.value.size > kValueBytesMax) return {Code::too_large, 0, "value over the limit"};
      bytes += edit.value.size;
      call->put_bytes += edit.key.size + edit.value.size + kEntryOverhead;
      if (edit.value.size > kLargeValue) ++call->large_values;
    }
  }
  if (bytes > kCommitBytesMax) return {Code::too_large, 0, "commit over the limit"};
  return kOk;
}

Submitted Store::commit(IndexBatch* batches, std::uint32_t count, Durability, Completion& done) noexcept {
  if (state_ != State::running) return done.finish({Code::closed, 0, "index is not running"});
  if (queue_.size() >= kCallsQueuedMax) return done.finish({Code::busy, 0, "too many commits are queued"});
  Call call;
  const Status status = measure(batches, count, &call);
  if (!status.ok()) return done.finish(status);
  call.done = &done;
  queue_.push_back(call);
  if (!busy()) launch_commit();
  return Submitted::pending;
}

void Store::launch_commit() noexcept {
  std::uint64_t edits = 0;
  std::uint64_t bytes = 0;
  errand_->calls.clear();
  while (!queue_.empty()) {
    const Call& call = queue_.front();
    edits += call.edit_count;
    bytes += call.put_bytes;
    if (!errand_->calls.empty() && (edits > kGroupEditsMax || bytes > kGroupBytesMax)) break;
    errand_->calls.push_back(call);
    queue_.pop_front();
  }
  errand_->oldest_snapshot = snapshots_.oldest();
  launch(Work::commit);
}

void Store::committed() noexcept {
  let_pages_go_later();
  std::vector<Call> calls;
  calls.swap(errand_->calls);
  // The next transaction starts before anybody hears of this one: the writer is never idle while work waits.
  if (state_ == State::running && !queue_.empty()) launch_commit();
  for (const Call& call : calls) {
    if (call.status.code == Code::io_error || call.status.code == Code::corrupt) {
      host_.log(Level::error, "lmdb: a commit failed; the index takes no further commits until it is started again");
    }
    host_.complete(*call.done, call.status, call.value);
  }
  if (state_ == State::stopping) finish_stop();
}

Status Store::space(IndexSpace* out) noexcept {
  if (state_ != State::running) return {Code::closed, 0, "index is not running"};
  MDB_txn* txn = nullptr;
  int code = ::mdb_txn_begin(environment_.handle(), nullptr, MDB_RDONLY, &txn);
  if (code != 0) return status_of(code, "look at the space of the index");
  MDB_stat stat{};
  code = ::mdb_stat(txn, environment_.entries(), &stat);
  const std::uint64_t transaction = ::mdb_txn_id(txn);
  ::mdb_txn_abort(txn);
  if (code != 0) return status_of(code, "look at the space of the index");
  FreePages free;
  const Status status = environment_.free_pages(transaction + 1, UINT64_MAX, &free);
  if (!status.ok()) return status;
  const std::uint64_t page = environment_.page_bytes();
  // Freed pages have their place on the device already; the tail of the map only has it if the device does.
  const std::uint64_t bytes = std::min(free.tail * page, environment_.disk_free_bytes()) + free.freed * page;
  const std::uint64_t reserve = environment_.reserve_pages() * page;
  out->bytes_total = environment_.map_pages() * page;
  out->bytes_free = bytes > reserve ? bytes - reserve : 0;
  out->entry_count = stat.ms_entries;
  return kOk;
}

}  // namespace rideau::lmdb
