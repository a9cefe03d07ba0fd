// SPDX-License-Identifier: Apache-2.0
// How much memory there is, for whoever keeps as much as is good for everybody.
#pragma once

#include <cstdint>

namespace rideau {

// Bytes. Both 0: it cannot be told.
struct MemoryFigures {
  std::uint64_t total = 0;      // of the machine, or of the share of it that this process may use
  std::uint64_t available = 0;  // of that, what programs could still take without anything being swapped
};

class MemoryGauge {
 public:
  virtual ~MemoryGauge() = default;
  // Cheap enough for once a second.
  virtual MemoryFigures read() noexcept = 0;
};

}  // namespace rideau
