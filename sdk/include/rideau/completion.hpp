// SPDX-License-Identifier: Apache-2.0
// How an asynchronous call ends. A call that takes a Completion answers
//   Submitted::finished  the result is stored in the completion, and nothing more comes; or
//   Submitted::pending   Host::complete is called for it exactly once; it arrives later, never inside the submitting
//   call.
// Every buffer passed with the call stays lent to the callee until then, also after cancel().
#pragma once

#include "rideau/status.hpp"

#include <cstdint>

namespace rideau {

enum class Submitted : std::uint8_t { pending = 0, finished = 1 };

// Lives in the caller's frame and must not move while the call is pending.
struct Completion {
  // Called by the host alone, on the thread of the node, after Host::complete.
  void (*resume)(Completion*) noexcept = nullptr;
  Status status{};
  std::uint64_t value = 0;  // meaning is stated at each call, usually a count of bytes
  std::uint64_t deadline_ns =
      0;                       // on the clock of Host::now_ns; 0: none. A hint: the callee may give up with timed_out
  void* plugin_slot[2] = {};   // the plugin's own, while the call is pending
  Completion* next = nullptr;  // the host's own, from Host::complete until resume
  void* host_slot[2] = {};     // the host's own

  // For the callee that has the result at hand: `return done.finish(status, value);`
  Submitted finish(Status result, std::uint64_t result_value = 0) noexcept {
    status = result;
    value = result_value;
    return Submitted::finished;
  }
};

// Work that blocks. The host runs it away from the node's thread (in the simulator: as one delayed event) and then
// completes the Completion that was passed with it, with the status and value that `run` stored here.
struct Job {
  void (*run)(Job*) noexcept = nullptr;
  Status status{};
  std::uint64_t value = 0;
};

}  // namespace rideau
