// SPDX-License-Identifier: Apache-2.0
// Many work on a file's data at once, or one alone: reads, writes and transfers enter; a truncate closes the gate.
#pragma once

#include "framework/runtime/sync.hpp"
#include "framework/runtime/task.hpp"

#include <cstdint>

namespace rideau::client {

class DataGate {
 public:
  explicit DataGate(Runtime& runtime) : changed_(runtime) {}

  Task<> enter() {
    while (closed_ || closing_ > 0) co_await changed_.wait();
    ++inside_;
  }
  // For work that somebody starts who is inside: it must not wait for one who waits for its starter.
  void enter_inside() noexcept {
    RIDEAU_ASSERT(inside_ > 0);
    ++inside_;
  }
  bool try_enter() noexcept {
    if (closed_ || closing_ > 0) return false;
    ++inside_;
    return true;
  }
  void leave() {
    RIDEAU_ASSERT(inside_ > 0);
    if (--inside_ == 0) changed_.wake_all();
  }
  // Waits until nobody is inside, and keeps everybody out until reopen().
  Task<> close() {
    ++closing_;
    while (closed_ || inside_ > 0) co_await changed_.wait();
    --closing_;
    closed_ = true;
  }
  // He who is alone counts as inside: what he starts may do so with enter_inside().
  void enter_alone() noexcept {
    RIDEAU_ASSERT(closed_ && inside_ == 0);
    ++inside_;
  }
  void reopen() {
    closed_ = false;
    changed_.wake_all();
  }
  bool idle() const noexcept { return inside_ == 0 && closing_ == 0 && !closed_; }

 private:
  WaitQueue changed_;
  std::uint32_t inside_ = 0;
  std::uint32_t closing_ = 0;
  bool closed_ = false;
};

}  // namespace rideau::client
