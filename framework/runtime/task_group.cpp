// SPDX-License-Identifier: Apache-2.0
#include "framework/runtime/task_group.hpp"

namespace rideau {

// The frame around a spawned task: linked into its group while it runs, gone when the task ended.
struct TaskGroup::RunnerPromise {
  RunnerPromise(TaskGroup& owner, Task<>&) : group(&owner) {
    after = owner.first_;
    if (after != nullptr) after->before = this;
    owner.first_ = this;
    ++owner.size_;
  }
  ~RunnerPromise() {
    (before != nullptr ? before->after : group->first_) = after;
    if (after != nullptr) after->before = before;
    if (--group->size_ == 0 && !group->dying_) group->idle_.wake_all();
  }
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { free_frame(frame, bytes); }

  Runner get_return_object() noexcept;
  std::suspend_never initial_suspend() const noexcept { return {}; }
  std::suspend_never final_suspend() const noexcept { return {}; }
  void return_void() const noexcept {}
  [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }

  TaskGroup* group;
  RunnerPromise* before = nullptr;
  RunnerPromise* after = nullptr;
};

struct TaskGroup::Runner {
  using promise_type = RunnerPromise;
};

TaskGroup::Runner TaskGroup::RunnerPromise::get_return_object() noexcept { return {}; }

TaskGroup::Runner TaskGroup::run(TaskGroup& group, Task<> task) {
  static_cast<void>(group);
  co_await std::move(task);
}

void TaskGroup::spawn(Task<> task) { run(*this, std::move(task)); }

Task<> TaskGroup::join() {
  while (size_ != 0) co_await idle_.wait();
}

TaskGroup::~TaskGroup() {
  dying_ = true;
  while (first_ != nullptr) std::coroutine_handle<RunnerPromise>::from_promise(*first_).destroy();
}

}  // namespace rideau
