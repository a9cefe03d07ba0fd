// SPDX-License-Identifier: Apache-2.0
// The memory of a simulated machine: others want it and give it back, by the clock alone.
#pragma once

#include "framework/runtime/memory_gauge.hpp"
#include "framework/runtime/runtime.hpp"

namespace rideau::sim {

class SimMemoryGauge final : public MemoryGauge {
 public:
  // `total`: bytes of the machine.
  SimMemoryGauge(Runtime& runtime, std::uint64_t total) : runtime_(runtime), total_(total) {}
  MemoryFigures read() noexcept override {
    const std::uint64_t phase = runtime_.now_ns() / (3 * kSecond) % 4;
    return {total_, phase * total_ / 16};  // none, a little, a little more, plenty
  }

 private:
  Runtime& runtime_;
  std::uint64_t total_;
};

}  // namespace rideau::sim
