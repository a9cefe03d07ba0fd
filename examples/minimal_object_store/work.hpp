// SPDX-License-Identifier: Apache-2.0
// Blocking work on a thread of the host. It stands on the heap, apart from the store: destroy() may come at any moment
// (a power cut), while the host still holds it.
#pragma once

#include <rideau/host.hpp>

#include <atomic>
#include <functional>

namespace minimal {

class Work : rideau::Job, rideau::Completion {
 public:
  using Body = std::function<rideau::Status(std::uint64_t* value)>;               // on the thread of the host
  using After = std::function<void(rideau::Status status, std::uint64_t value)>;  // on the node's thread

  // `list` is the head of the list of all works of one store.
  static void begin(rideau::Host& host, Work** list, Body body, After after);
  // A body that runs is waited for, one that has not begun never will, and no after() is called.
  static void abandon_all(Work** list);

 private:
  enum class Stage { queued, running, ended, abandoned };

  void run_here() noexcept;
  void arrived() noexcept;

  Body body_;
  After after_;
  Work** list_ = nullptr;  // null: abandoned
  Work* earlier_ = nullptr;
  Work* later_ = nullptr;
  std::atomic<Stage> stage_{Stage::queued};
};

}  // namespace minimal
