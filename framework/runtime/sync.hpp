// SPDX-License-Identifier: Apache-2.0
// Waiting of coroutines of one node for each other. Nothing here blocks a thread; waiters resume through the runtime's
// queue, in the order in which they came.
#pragma once

#include "framework/base/assert.hpp"
#include "framework/runtime/await.hpp"
#include "framework/runtime/task.hpp"

#include <functional>

namespace rideau {

// A queue of waiters. `co_await queue.wait()` suspends always; check the condition around it in a loop.
class WaitQueue {
 public:
  explicit WaitQueue(Runtime& runtime) : runtime_(runtime) {}
  WaitQueue(const WaitQueue&) = delete;
  WaitQueue& operator=(const WaitQueue&) = delete;

  class Awaiter : Completion {
   public:
    explicit Awaiter(WaitQueue& queue) : queue_(queue) {
      resume = [](Completion* done) noexcept { static_cast<Awaiter*>(done)->waiter_.resume(); };
    }
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiter) noexcept {
      waiter_ = waiter;
      Completion* self = this;
      self->next = nullptr;
      (queue_.last_ != nullptr ? queue_.last_->next : queue_.first_) = self;
      queue_.last_ = self;
    }
    void await_resume() const noexcept {}

   private:
    WaitQueue& queue_;
    std::coroutine_handle<> waiter_;
  };

  Awaiter wait() { return Awaiter(*this); }

  // Returns false when nobody waited.
  bool wake_one() {
    Completion* waiter = first_;
    if (waiter == nullptr) return false;
    first_ = waiter->next;
    if (first_ == nullptr) last_ = nullptr;
    waiter->next = nullptr;
    runtime_.complete(*waiter, kOk, 0);
    return true;
  }
  void wake_all() {
    while (wake_one()) {
    }
  }
  bool empty() const noexcept { return first_ == nullptr; }
  Runtime& runtime() const noexcept { return runtime_; }

 private:
  Runtime& runtime_;
  Completion* first_ = nullptr;
  Completion* last_ = nullptr;
};

// Set once; everyone who waits or comes later goes on.
class Event {
 public:
  explicit Event(Runtime& runtime) : waiters_(runtime) {}
  bool is_set() const noexcept { return set_; }
  void set() {
    set_ = true;
    waiters_.wake_all();
  }
  Task<> wait() {
    while (!set_) co_await waiters_.wait();
  }

 private:
  bool set_ = false;
  WaitQueue waiters_;
};

// Bounded units (slots, bytes, grants), handed out first come first served: a large request is not starved by small
// ones.
class Credits {
 public:
  Credits(Runtime& runtime, std::uint64_t amount) : free_(amount), waiters_(runtime) {}
  std::uint64_t free() const noexcept { return free_; }

  Task<> take(std::uint64_t amount) {
    const std::uint64_t ticket = next_ticket_++;
    while (ticket != serving_ || free_ < amount) co_await waiters_.wait();
    free_ -= amount;
    ++serving_;
    waiters_.wake_all();
  }
  bool try_take(std::uint64_t amount) {
    if (next_ticket_ != serving_ || free_ < amount) return false;
    free_ -= amount;
    return true;
  }
  void give_back(std::uint64_t amount) {
    free_ += amount;
    waiters_.wake_all();
  }

 private:
  std::uint64_t free_;
  std::uint64_t next_ticket_ = 0;
  std::uint64_t serving_ = 0;
  WaitQueue waiters_;
};

// One coroutine at a time, in order of arrival.
class AsyncMutex {
 public:
  explicit AsyncMutex(Runtime& runtime) : credits_(runtime, 1) {}
  Task<> lock() { return credits_.take(1); }
  void unlock() { credits_.give_back(1); }

 private:
  Credits credits_;
};

// A timer with a callback. Setting it again moves it; the destructor drops it. The callback runs on the node's thread.
class Alarm : Completion {
 public:
  Alarm(Runtime& runtime, std::function<void()> ring) : runtime_(runtime), ring_(std::move(ring)) {
    resume = [](Completion* done) noexcept {
      auto* self = static_cast<Alarm*>(done);
      self->pending_ = false;
      self->ring_();
    };
  }
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;
  ~Alarm() { clear(); }

  void set(std::uint64_t after_ns) {
    clear();
    pending_ = true;
    const Submitted submitted = runtime_.sleep(after_ns, *this);
    RIDEAU_ASSERT(submitted == Submitted::pending);
  }
  void clear() {
    if (pending_) runtime_.forget(*this);
    pending_ = false;
  }
  bool pending() const noexcept { return pending_; }

 private:
  Runtime& runtime_;
  std::function<void()> ring_;
  bool pending_ = false;
};

}  // namespace rideau
