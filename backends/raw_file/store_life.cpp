// SPDX-License-Identifier: Apache-2.0
// How a store begins and ends: start, stop, and destroy, which may come without a stop.
#include "sum_commit.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/resource.h>
#include <unistd.h>

namespace rideau::raw_file {

Submitted RawFileStore::start(Completion& done) noexcept {
  if (life_ != Life::made) return done.finish({Code::invalid, 0, "second start of a raw-file store"});
  life_ = Life::starting;
  home_ = std::make_shared<Home>();
  start_done_ = &done;
  start_ns_ = host_.now_ns();
  struct Seed {
    std::uint8_t bytes[16];
  };
  Seed seed{};
  host_.random(MutableBytes(seed.bytes, sizeof seed.bytes));
  run_job([home = home_, path = settings_.path, seed](std::uint64_t&) { return home->open(path, seed.bytes); },
          [this](Status status, std::uint64_t) { on_started(status); });
  return Submitted::pending;
}

void RawFileStore::on_started(Status status) noexcept {
  if (life_ == Life::stopping) return end_start(kClosed);
  if (!status.ok()) {
    log(Level::error, home_->message());
    return end_start(status);
  }
  std::string message;
  status = ring_.open(settings_.queue_depth, &message);
  if (!status.ok()) {
    log(Level::error, message);
    return end_start(status);
  }
  object_count_ = home_->object_count();
  object_bytes_max_ = home_->object_bytes_max();
  bound_open_files();
  begin_sums();
}

void RawFileStore::end_start(Status status) noexcept {
  const bool stopping = life_ == Life::stopping;  // stop() came before the start had ended
  if (stopping) status = kClosed;
  if (!status.ok()) {
    home_->close();
    life_ = Life::stopped;
    const auto ended = [this, stopping, status] {
      host_.complete(*start_done_, status, 0);
      if (stopping) host_.complete(*stop_done_, kOk, 0);
    };
    return ring_.is_open() ? ring_.stop_watching(ended) : ended();
  }
  life_ = Life::running;
  if (home_->left_open() || fresh_sums_) flush_what_was_left();
  if (keeps_sums()) begin_recovery();
  log(Level::info, "store " + home_->uuid() + " in " + settings_.path + " is open, after " +
                       std::to_string((host_.now_ns() - start_ns_) / 1'000'000) + " ms");
  host_.complete(*start_done_, kOk, 0);
}

// What the process before had written is in the kernel's cache, if the machine ran on, and no table knows of it.
void RawFileStore::flush_what_was_left() noexcept {
  overflow_ = ++change_;
  Flush& flush = new_flush(nullptr);
  flush_everything(flush);
  flush_part_done(flush, kOk, false);
}

void RawFileStore::bound_open_files() noexcept {
  // Some descriptors of the process belong to others; what does not fit is closed and opened again.
  open_max_ = settings_.open_files_max;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    const std::uint64_t share = limit.rlim_cur - limit.rlim_cur / 4;
    if (share < open_max_) open_max_ = static_cast<std::uint32_t>(share);
  }
  open_max_ = std::max(open_max_, settings_.queue_depth);
}

Submitted RawFileStore::stop(Completion& done) noexcept {
  if (life_ == Life::made || life_ == Life::stopped) {
    life_ = Life::stopped;
    return done.finish(kOk);
  }
  if (life_ == Life::stopping) return done.finish({Code::invalid, 0, "second stop of a raw-file store"});
  const bool starting = life_ == Life::starting;
  life_ = Life::stopping;
  stop_done_ = &done;
  if (starting) return Submitted::pending;
  recovery_.clear();
  end_waiting_calls();
  settle();
  return Submitted::pending;
}

// Ends what has not begun; what the kernel or a job works on ends by itself.
void RawFileStore::end_waiting_calls() noexcept {
  for (const auto& flush : flushes_) {
    if (flush->next_id == flush->ids.size()) continue;
    flush->next_id = flush->ids.size();
    if (flush->status.ok()) flush->status = kClosed;
  }
  while (Op* op = ready_.pop()) finish(*op, kClosed, 0);
  for (auto at = files_.begin(); at != files_.end();) {
    File& file = (at++)->second;
    while (Op* op = file.waiting.pop()) finish(*op, kClosed, 0);
  }
  while (Op* op = ready_.pop()) finish(*op, kClosed, 0);
}

void RawFileStore::check_stopped() noexcept {
  if (active_ != 0 || works_ != nullptr || !flushes_.empty() || ring_.retries() || stop_marking_) return;
  if (keeps_sums()) {
    if (sum_timer_ != nullptr) return host_.cancel(*sum_timer_);  // its end comes here again
    if (sum_commit_ != nullptr) return;
    if (!stop_flushed_) {
      // Without sums what was not flushed stays the kernel's; with them it would have none.
      stop_flushed_ = true;
      settle_due_ = true;
      sums_.rest_no_more();
      flush_for_sums();
      if (!flushes_.empty()) return settle();
    }
    if (settle_due_) settle_sums();
    if (sum_commit_ != nullptr) return;
    // The next start of a store that was stopped takes everything for durable.
    if (!flush_failure_.ok() || overflow_ != 0 || !dirty_.empty()) return end_stop();
  }
  stop_marking_ = true;
  run_job([home = home_, count = object_count_](std::uint64_t&) { return home->mark_clean(count); },
          [this](Status status, std::uint64_t) {
            if (!status.ok()) host_.log(Level::warning, "raw-file: no mark of the clean stop; the next start counts");
            end_stop();
          });
}

void RawFileStore::end_stop() noexcept {
  life_ = Life::stopped;
  home_->close();
  ring_.stop_watching([this] { host_.complete(*stop_done_, kOk, 0); });
}

void RawFileStore::destroy() noexcept {
  Work::abandon_all(works_);
  ring_.drain([](void* data, int result) {
    const Op& op = *static_cast<Op*>(data);
    const bool opened = op.stage == Op::Stage::open_new || op.stage == Op::Stage::open_existing;
    if (opened && result >= 0) ::close(result);
  });
  for (auto& [id, file] : files_) {
    if (file.fd >= 0) ::close(file.fd);
    if (file.direct_fd >= 0) ::close(file.direct_fd);
  }
  if (home_ != nullptr) home_->close();
  forget_sums();
  delete this;
}

}  // namespace rideau::raw_file
