// SPDX-License-Identifier: Apache-2.0
// The bridge between completions and coroutines:
//
//   Outcome done = co_await submit([&](Completion& c) { return store.read(id, offset, parts, 1, c); });
//
// A call that finishes at once does not suspend. The completion lives in the awaiting frame.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "rideau/completion.hpp"

#include <coroutine>

namespace rideau {

struct Outcome {
  Status status{};
  std::uint64_t value = 0;
  bool ok() const noexcept { return status.ok(); }
};

template <class Call>
class SubmitAwaiter : Completion {
 public:
  explicit SubmitAwaiter(Call call, std::uint64_t deadline) : call_(call) {
    deadline_ns = deadline;
    resume = [](Completion* done) noexcept { static_cast<SubmitAwaiter*>(done)->waiter_.resume(); };
  }
  // The completion cannot arrive inside the call, so asking before the suspension is safe on the node's one thread.
  bool await_ready() noexcept { return call_(static_cast<Completion&>(*this)) == Submitted::finished; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  Outcome await_resume() const noexcept { return {status, value}; }

 private:
  Call call_;
  std::coroutine_handle<> waiter_;
};

template <class Call>
SubmitAwaiter<Call> submit(Call call, std::uint64_t deadline_ns = 0) {
  return SubmitAwaiter<Call>(call, deadline_ns);
}

inline auto sleep_for(Runtime& runtime, std::uint64_t ns) {
  return submit([&runtime, ns](Completion& done) { return runtime.sleep(ns, done); });
}

// Goes to the end of the node's queue: lets everything that is ready run first.
inline auto yield_now(Runtime& runtime) {
  return submit([&runtime](Completion& done) {
    runtime.complete(done, kOk, 0);
    return Submitted::pending;
  });
}

// Runs `work` (Status()) on a blocking thread and resumes on the node's thread.
template <class Work>
class BlockingAwaiter : Completion, Job {
 public:
  BlockingAwaiter(Runtime& runtime, Work work) : runtime_(runtime), work_(work) {
    Completion::resume = [](Completion* done) noexcept { static_cast<BlockingAwaiter*>(done)->waiter_.resume(); };
    Job::run = [](Job* job) noexcept {
      auto* self = static_cast<BlockingAwaiter*>(job);
      job->status = self->work_();
    };
  }
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    runtime_.run_blocking(static_cast<Job&>(*this), static_cast<Completion&>(*this));
  }
  Status await_resume() const noexcept { return Completion::status; }

 private:
  Runtime& runtime_;
  Work work_;
  std::coroutine_handle<> waiter_;
};

template <class Work>
BlockingAwaiter<Work> run_blocking(Runtime& runtime, Work work) {
  return BlockingAwaiter<Work>(runtime, work);
}

}  // namespace rideau
