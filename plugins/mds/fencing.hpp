// SPDX-License-Identifier: Apache-2.0
// Fencing: a client that lost its locks without giving them back may still have writes under way, or wake up one day
// and send some. Before others get what it had, every object target is told to take nothing more that rests on its
// session here.
//
// A target that is away takes no write meanwhile either; it is told as soon as it is back, but others do not wait for
// it longer than for one call. (A client that reaches such a target before this server does is let in until then.)
#pragma once

#include "framework/base/uuid.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/mds/options.hpp"
#include "plugins/mds/rest.hpp"
#include "plugins/mds/target.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace rideau::mds {

class Fencing {
 public:
  Fencing(Target& target, ObjectTargets& calls);

  // Ends when each object target was asked once. Those that did not answer are asked until they do, or stop().
  Task<> fence(Uuid client, std::uint64_t session);
  Task<> stop();

 private:
  struct Round {
    Uuid client;
    std::uint64_t session;
    std::size_t unasked;
  };
  Task<> fence_at(fs::TargetId at, std::shared_ptr<Round> round);

  Target& target_;
  ObjectTargets& calls_;
  WaitQueue asked_;
  Rest rest_;
  TaskGroup tasks_;
};

}  // namespace rideau::mds
