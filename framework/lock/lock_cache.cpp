// SPDX-License-Identifier: Apache-2.0
#include "framework/lock/lock_cache.hpp"

#include "framework/base/assert.hpp"

namespace rideau::lock {

Task<Status> LockCache::use(Mode mode) {
  const std::uint64_t failures_before = failures_;
  for (;;) {
    if (state_ == State::held) {
      if (mode_ >= mode) {
        ++uses_;
        co_return kOk;
      }
      start_closing();  // too weak: give back, then take what is needed
    } else if (state_ == State::free) {
      if (failures_ != failures_before) co_return last_failure_;
      state_ = State::taking;
      tasks_.spawn(take_now(mode));
    }
    // What was just started may have ended already.
    if (state_ != State::held && state_ != State::free) co_await changed_.wait();
  }
}

void LockCache::end_use() {
  RIDEAU_ASSERT(uses_ > 0);
  if (--uses_ == 0 && state_ != State::held) changed_.wake_all();
}

Task<> LockCache::take_now(Mode mode) {
  const std::uint64_t generation = generation_;
  const Result<Mode> granted = co_await owner_.take(mode);
  if (generation != generation_) co_return;
  if (!granted.ok()) {
    state_ = State::free;
    last_failure_ = granted.status();
    ++failures_;
    changed_.wake_all();
    co_return;
  }
  state_ = State::held;
  mode_ = *granted;
  owner_.on_taken(mode_);
  changed_.wake_all();
  if (!revoke_wanted_) co_return;
  // Somebody wants it already. Those who waited for it here go first, once, or two clients could pass the lock back and
  // forth and neither get anything done.
  co_await yield_now(runtime_);
  if (generation == generation_ && state_ == State::held && revoke_wanted_) start_closing();
}

void LockCache::start_closing() {
  state_ = State::closing;
  revoke_wanted_ = false;
  tasks_.spawn(close_now());
}

Task<> LockCache::close_now() {
  const std::uint64_t generation = generation_;
  while (uses_ != 0) {
    co_await changed_.wait();
    if (generation != generation_) co_return;
  }
  co_await owner_.prepare_release();
  if (generation != generation_) co_return;
  RIDEAU_ASSERT(uses_ == 0);
  state_ = State::releasing;
  mode_ = Mode::none;
  // A failure means that the session is ending: the server drops the lock with it.
  const Status told = co_await owner_.give_back();
  static_cast<void>(told);
  if (generation != generation_) co_return;
  state_ = State::free;
  revoke_wanted_ = false;
  changed_.wake_all();
}

void LockCache::revoke() {
  if (state_ == State::held) {
    start_closing();
  } else if (state_ == State::taking) {
    revoke_wanted_ = true;
  }
}

Task<> LockCache::release_now() {
  while (state_ != State::free) {
    if (state_ == State::held) start_closing();
    if (state_ != State::held && state_ != State::free) co_await changed_.wait();
  }
}

void LockCache::lost() {
  ++generation_;
  state_ = State::free;
  mode_ = Mode::none;
  revoke_wanted_ = false;
  changed_.wake_all();
}

}  // namespace rideau::lock
