// SPDX-License-Identifier: Apache-2.0
// Signals that ask a program to end, as a descriptor that the runtime can wait for.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"

namespace rideau::tools {

class StopSignals {
 public:
  StopSignals();  // blocks TERM, INT and HUP: before any thread is made
  ~StopSignals();
  Task<> wait(Runtime& runtime);  // until one came

 private:
  int descriptor_ = -1;
};

}  // namespace rideau::tools
