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
#include <map>
#include <string>
#include <vector>

namespace rideau::mds {

class Evictions {
 public:
  explicit Evictions(Runtime& runtime) : runtime_(runtime) {}

  // A lock was asked back from `holder`, for whoever `waiter` is ("" when nobody waits any more); until settled().
  void asked(lock::HolderId holder, lock::ResourceId resource, lock::Mode wanted, std::string waiter);
  void settled(lock::HolderId holder) { open_.erase(holder); }
  // The session ends against its client's will. Returns the record.
  const std::string& add(const rpc::ServerSession& session, const std::string& reason);
  // The newest last.
  std::vector<std::string> records() const { return {records_.begin(), records_.end()}; }

 private:
  struct Asked {
    lock::ResourceId resource;
    lock::Mode wanted;
    std::string waiter;
    std::uint64_t since_ns;
  };
  Runtime& runtime_;
  std::map<lock::HolderId, Asked> open_;
  std::deque<std::string> records_;
};

}  // namespace rideau::mds
