// SPDX-License-Identifier: Apache-2.0
// One line on standard error that tells how far long work is; only on a terminal, at most ten times a second.
#pragma once

#include <cstdint>
#include <string>

namespace rideau::tools {

class Progress {
 public:
  Progress();
  ~Progress();  // takes the line away
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void tell(const std::string& text);

 private:
  bool terminal_;
  bool shown_ = false;
  std::uint64_t next_ms_ = 0;
};

}  // namespace rideau::tools
