// SPDX-License-Identifier: Apache-2.0
// Things that the host may still hold when the store is destroyed without a stop: blocking jobs and waits. Each stands
// alone on the heap, so that a late resume finds memory, sees that its store is gone, and frees itself.
#pragma once

#include "rideau/host.hpp"

#include <atomic>
#include <functional>

namespace rideau::backend {

// A blocking job: body() runs on a thread of the host and touches only what it holds itself; after() runs on the
// node's thread, unless the work was abandoned.
class Work : Job, Completion {
 public:
  using Body = std::function<Status(std::uint64_t& value)>;
  using After = std::function<void(Status status, std::uint64_t value)>;

  // `list` is the head of the list of all works of one store.
  static void run_on(Host& host, Work*& list, Body body, After after) noexcept;
  // Forgets all works: a body that runs is waited for, one that has not begun never will, and no after() is called.
  static void abandon_all(Work*& list) noexcept;

 private:
  enum State : int { queued, running, done, abandoned };

  Body body_;
  After after_;
  Work** list_ = nullptr;
  Work* before_ = nullptr;
  Work* after_link_ = nullptr;
  std::atomic<int> state_{queued};
};

// A pending sleep or wait for a descriptor.
class Wakeup : public Completion {
 public:
  explicit Wakeup(std::function<void(Status)> ring);
  // Another call instead, while the wait goes on.
  void replace(std::function<void(Status)> ring) noexcept { ring_ = std::move(ring); }
  // From now on nothing is called; frees itself when the host resumes it.
  void abandon() noexcept { ring_ = nullptr; }

 private:
  std::function<void(Status)> ring_;
};

}  // namespace rideau::backend
