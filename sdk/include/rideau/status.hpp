// SPDX-License-Identifier: Apache-2.0
// The one error type that crosses the plugin boundary: plain data, no allocation, no exception.
#pragma once

#include <cstdint>

namespace rideau {

// What went wrong, in terms that the host can act on. `os_error` beside it carries errno when a system call failed.
// Values are part of the ABI: append, never renumber.
enum class Code : std::int32_t {
  ok = 0,
  unsupported = 1,   // the plugin does not have this optional capability
  invalid = 2,       // the caller broke the contract or passed a value out of limits
  not_found = 3,     // no such key, object or address
  exists = 4,        // already there, or in use by another process
  no_space = 5,      // device, map or quota is full
  io_error = 6,      // the device or the network failed; os_error tells how
  corrupt = 7,       // a checksum or a format check failed
  check_failed = 8,  // a Check of an IndexBatch did not hold; nothing of that batch was applied
  closed = 9,        // the link or the instance is closed
  timed_out = 10,    // the deadline of the completion passed
  cancelled = 11,    // cancel() was asked for and took effect
  too_large = 12,    // over a declared limit
  busy = 13,         // a bounded resource is exhausted; try again later
  refused = 14,      // the peer or the configuration does not allow it
  posix = 15,        // an answer that is an errno and nothing more; os_error has it
};

struct Status {
  Code code = Code::ok;
  std::int32_t os_error = 0;    // errno, or 0
  const char* where = nullptr;  // static text: what was being done; never freed, may be null

  constexpr bool ok() const noexcept { return code == Code::ok; }
};

constexpr Status kOk{};

}  // namespace rideau
