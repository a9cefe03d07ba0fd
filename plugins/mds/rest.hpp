// SPDX-License-Identifier: Apache-2.0
// Rest: sleeps of work in the background, which an orderly stop ends.
#pragma once

#include "framework/runtime/sync.hpp"

#include <cstdint>

namespace rideau::mds {

class Rest {
 public:
  explicit Rest(Runtime& runtime) : runtime_(runtime), woken_(runtime) {}

  // Ends after so long, or with stop(). Any number sleep at once.
  Task<> sleep(std::uint64_t ns) {
    Alarm alarm(runtime_, [this] { woken_.wake_all(); });
    alarm.set(ns);
    while (alarm.pending() && !stopped_) co_await woken_.wait();
  }
  void stop() {
    stopped_ = true;
    woken_.wake_all();
  }
  bool stopped() const noexcept { return stopped_; }

 private:
  Runtime& runtime_;
  WaitQueue woken_;
  bool stopped_ = false;
};

}  // namespace rideau::mds
