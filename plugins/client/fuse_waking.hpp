// SPDX-License-Identifier: Apache-2.0
// WakingProcesses: who was answered and may not have run since. An answer only makes the process runnable; it looks at
// it when it gets a processor, and nothing tells us when that was. But a process that sleeps again, or whose time on a
// processor has grown, has run (proc(5): stat, schedstat).
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>

namespace rideau::client {

class WakingProcesses {
 public:
  // A thread waits for one answer at a time, so only its last one counts.
  void add(pid_t process) noexcept;
  bool empty() const noexcept { return count_ == 0; }
  // Ends when all of them have run, at the latest after kWaitMs. Blocks.
  void wait() const;

 private:
  static constexpr std::size_t kKept = 128;  // the oldest of more have run most likely
  std::array<pid_t, kKept> processes_{};
  std::size_t next_ = 0;
  std::size_t count_ = 0;
};

}  // namespace rideau::client
