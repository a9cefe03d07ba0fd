// SPDX-License-Identifier: Apache-2.0
// NameBatch: files to be made and removed by one blocking job, and the results. The kernel can do neither without a
// thread that may block, and a thread that is woken once for many is cheaper than one for each.
#pragma once

#include "layout.hpp"

#include <vector>

#include <sys/uio.h>

namespace rideau::raw_file {

class Home;
struct Op;

struct NameStep {
  Op* op = nullptr;
  bool removes = false;
  char path[kPathBytes] = {};
  int fd = -1;                   // of a file to remove: closed with it. Of one that was made: to be taken
  const iovec* bytes = nullptr;  // to write into the file that is made, lent until the op has ended
  int parts = 0;
  std::uint64_t offset = 0;
  int result = 0;             // 0 or a negative errno
  std::uint64_t written = 0;  // may be less than wanted
};

class NameBatch {
 public:
  NameBatch() = default;
  NameBatch(const NameBatch&) = delete;
  NameBatch& operator=(const NameBatch&) = delete;
  ~NameBatch();  // closes what nobody took

  void run(Home& home) noexcept;
  std::vector<NameStep> steps;
  std::uint64_t system_calls = 0;  // of run()
};

}  // namespace rideau::raw_file
