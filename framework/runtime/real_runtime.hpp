// SPDX-License-Identifier: Apache-2.0
// RealRuntime: one thread on epoll, a few threads for blocking jobs. The only place in framework/ that reads clocks,
// makes threads and waits.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"
#include "framework/runtime/timer_heap.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace rideau {

struct RealRuntimeOptions {
  std::uint64_t spin_ns = 0;           // how long to poll before sleeping in the kernel
  std::uint32_t blocking_threads = 4;  // made when first needed
};

class RealRuntime final : public Runtime {
 public:
  explicit RealRuntime(RealRuntimeOptions options = {});
  ~RealRuntime() override;
  RealRuntime(const RealRuntime&) = delete;
  RealRuntime& operator=(const RealRuntime&) = delete;

  // Runs the calling thread as the node's thread until `main` has ended. What else is pending then stays pending.
  void run(Task<> main);

  std::uint64_t now_ns() noexcept override;
  std::int64_t wall_ns() noexcept override;
  void random(MutableBytes out) noexcept override;
  Uuid machine_boot() override;  // boot_id of random(4)
  Submitted sleep(std::uint64_t ns, Completion& done) noexcept override;
  Submitted wait_fd(int fd, std::uint32_t events, Completion& done) noexcept override;
  void forget_fd(int fd) noexcept override;
  void run_blocking(Job& job, Completion& done) noexcept override;
  void complete(Completion& done, Status status, std::uint64_t value) noexcept override;
  void cancel(Completion& pending) noexcept override;
  void forget(Completion& pending) noexcept override;

  // How often the node's thread slept in the kernel, and how many completions it resumed: the counts of a hot path.
  std::uint64_t sleeps() const noexcept { return sleeps_; }
  std::uint64_t resumes() const noexcept { return resumes_; }
  // That this runtime made itself, those of its blocking jobs not among them; any thread.
  std::uint64_t system_calls() const noexcept { return system_calls_.load(std::memory_order_relaxed); }

 private:
  struct Queue {
    Completion* first = nullptr;
    Completion* last = nullptr;
    void push(Completion& item) noexcept;
    Completion* pop() noexcept;
    bool remove(Completion& item) noexcept;
  };
  struct FdWaits {
    Completion* readable = nullptr;
    Completion* writable = nullptr;
    std::uint32_t armed = 0;  // epoll events registered in the kernel; 0: not registered
  };
  struct BlockingItem {
    Job* job;
    Completion* done;
  };

  void count_system_call() noexcept { system_calls_.fetch_add(1, std::memory_order_relaxed); }
  void arm(int fd, FdWaits& waits, std::uint32_t wanted) noexcept;
  void deliver_fd(int fd, std::uint32_t epoll_events) noexcept;
  bool remove_fd_wait(Completion& pending) noexcept;
  void take_inbox() noexcept;
  void ring_timers() noexcept;
  bool resume_ready() noexcept;
  void poll(int timeout_ms) noexcept;
  bool spin() noexcept;
  void wait_for_work() noexcept;
  void blocking_loop() noexcept;
  bool on_node_thread() const noexcept { return std::this_thread::get_id() == node_thread_; }

  RealRuntimeOptions options_;
  int epoll_fd_ = -1;
  int wake_fd_ = -1;
  std::thread::id node_thread_;
  Queue ready_;
  TimerHeap timers_;
  std::vector<FdWaits> fds_;
  std::uint64_t sleeps_ = 0;
  std::uint64_t resumes_ = 0;
  std::atomic<std::uint64_t> system_calls_{0};

  std::mutex inbox_mutex_;
  Queue inbox_;
  std::atomic<bool> inbox_filled_{false};
  std::atomic<bool> sleeping_{false};

  std::mutex blocking_mutex_;
  std::condition_variable blocking_wake_;
  std::deque<BlockingItem> blocking_queue_;
  std::vector<std::thread> blocking_threads_;
  std::uint32_t blocking_idle_ = 0;
  bool blocking_stop_ = false;
};

}  // namespace rideau
