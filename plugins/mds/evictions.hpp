// SPDX-License-Identifier: Apache-2.0
// Evictions: why clients lost their sessions and their locks with them. One record each, in the log and, for the newest
// ones, in `rideau status`: what ended it, which lock was asked back, who waited for it and how long, when the client
// was last heard, and how its clock stood to ours.
#pragma once

#include "framework/lock/lock_manager.hpp"
#include "framework/rpc/server.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

namespace rideau::mds {

class Evictions {
 public:
  explicit Evictions(Runtime& runtime) : runtime_(runtime) {}

  // A lock that was asked back from the session and did not come: since when, and for whom ("": nobody waits any more).
  struct Asked {
    lock::ResourceId resource = 0;
    lock::Mode wanted = lock::Mode::none;
    std::string waiter;
    std::uint64_t since_ns = 0;
  };
  // The session ends against its client's will; `asked` is null when it owes no lock. Returns the record.
  const std::string& add(const rpc::ServerSession& session, const std::string& reason, const Asked* asked);
  // The newest last.
  std::vector<std::string> records() const { return {records_.begin(), records_.end()}; }

 private:
  Runtime& runtime_;
  std::deque<std::string> records_;
};

}  // namespace rideau::mds
