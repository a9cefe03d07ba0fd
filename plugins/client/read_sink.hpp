// SPDX-License-Identifier: Apache-2.0
// Who takes the bytes of a read where they lie.
#pragma once

#include "rideau/buffer.hpp"

#include <cstdint>

namespace rideau::client {

constexpr std::uint64_t kReadPieceBytes = 4 << 20;  // of one read, fetched and pinned together

class ReadSink {
 public:
  // The next bytes, from front to back. They stay as they are until this returns, no longer.
  virtual void take(const IoVec* parts, std::uint32_t count) = 0;

 protected:
  ~ReadSink() = default;
};

}  // namespace rideau::client
