// SPDX-License-Identifier: Apache-2.0
// TaskGroup: owns coroutines that nobody awaits. Each runs at once until its first suspension; its frame is freed when
// it ends. Destroying the group destroys the frames of those that have not ended, which is how a simulated node is
// killed; an orderly stop awaits join() first.
#pragma once

#include "framework/runtime/sync.hpp"
#include "framework/runtime/task.hpp"

#include <cstddef>

namespace rideau {

class TaskGroup {
 public:
  explicit TaskGroup(Runtime& runtime) : idle_(runtime) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  ~TaskGroup();

  void spawn(Task<> task);
  // Waits until no task is left, those included that are spawned meanwhile.
  Task<> join();
  std::size_t size() const noexcept { return size_; }

 private:
  struct Runner;
  struct RunnerPromise;
  static Runner run(TaskGroup& group, Task<> task);

  RunnerPromise* first_ = nullptr;
  std::size_t size_ = 0;
  bool dying_ = false;  // nobody is left to be told that the group is idle
  WaitQueue idle_;
};

}  // namespace rideau
