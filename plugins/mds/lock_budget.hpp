// SPDX-License-Identifier: Apache-2.0
// How many locks each client may keep. Locks are memory of the server: when there are many, those who have most are
// told to keep fewer, until there is room again; when the bound is reached, answers bring no more.
#pragma once

#include "plugins/mds/divided_files.hpp"
#include "framework/runtime/runtime.hpp"
#include "plugins/mds/lock_callbacks.hpp"
#include "plugins/mds/sessions.hpp"

#include <cstdint>

namespace rideau::mds {

class LockBudget {
 public:
  // Everything is lent.
  LockBudget(Runtime& runtime, const DividedFiles& locks, const SessionTable& sessions, LockCallbacks& callbacks,
             std::uint64_t locks_max)
      : runtime_(runtime), locks_(locks), sessions_(sessions), callbacks_(callbacks), locks_max_(locks_max) {}

  // Locks were granted, or some went.
  void changed() {
    const std::size_t count = locks_.locks().count() + locks_.extents().count();
    if (count >= locks_max_ / 8 * 7 || (limited_ && count < locks_max_ / 2)) adjust();
  }

 private:
  void adjust();
  std::uint64_t share() const;
  std::size_t count(std::uint64_t session) const {
    return locks_.locks().count(session) + locks_.extents().count(session);
  }

  Runtime& runtime_;
  const DividedFiles& locks_;  // of inodes, and of parts of files
  const SessionTable& sessions_;
  LockCallbacks& callbacks_;
  const std::uint64_t locks_max_;
  bool limited_ = false;
  std::uint64_t next_ns_ = 0;
};

}  // namespace rideau::mds
