// SPDX-License-Identifier: Apache-2.0
// What becomes of an object target from which files move away.
#pragma once

#include <cstdint>

namespace rideau::fs {

// Without a state a target takes files as any other. Numbers are formats: append only.
enum class DrainState : std::uint8_t {
  draining = 1,  // files on it move to others, no new one comes
  drained = 2,   // nothing is on it
  removed = 3,   // it is no target of the cluster any more, and its id is never used again
};

inline bool parse_drain_state(std::uint8_t number, DrainState* to) noexcept {
  *to = static_cast<DrainState>(number);
  return number >= 1 && number <= 3;
}

constexpr const char* drain_state_name(DrainState state) noexcept {
  switch (state) {
    case DrainState::draining:
      return "draining";
    case DrainState::drained:
      return "drained";
    case DrainState::removed:
      return "removed";
  }
  return "unknown";
}

}  // namespace rideau::fs
