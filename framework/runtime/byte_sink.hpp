// SPDX-License-Identifier: Apache-2.0
// Where a long stream of bytes goes: a file in the program, memory in tests.
#pragma once

#include "framework/base/result.hpp"
#include "framework/runtime/task.hpp"
#include "rideau/buffer.hpp"

namespace rideau {

class ByteSink {
 public:
  // Appends. The bytes are lent until it ended.
  virtual Task<Status> write(Bytes bytes) = 0;

 protected:
  ~ByteSink() = default;
};

}  // namespace rideau
