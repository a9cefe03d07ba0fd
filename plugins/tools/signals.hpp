// SPDX-License-Identifier: Apache-2.0
// Signals for a node, as a descriptor that the runtime can wait for. TERM and INT ask it to end. HUP asks it to open
// its log file anew, after somebody renamed it; a node without one ends.
#pragma once

#include "framework/runtime/runtime.hpp"
#include "framework/runtime/task.hpp"

#include <string>

namespace rideau::tools {

class StopSignals {
 public:
  explicit StopSignals(std::string log_file);  // blocks the signals: before any thread is made. Empty: no log file
  ~StopSignals();
  Task<> wait(Runtime& runtime);  // until one came that ends the node

 private:
  std::string log_file_;
  int descriptor_ = -1;
};

// From now on standard output and standard error are appended to this file. False: *why says why not, and all is as
// before.
bool open_log_file(const std::string& path, std::string* why);

}  // namespace rideau::tools
