// SPDX-License-Identifier: Apache-2.0
// SpaceWatch: tells Placement how much is free on each object target. It asks only after files were placed for which
// that matters, and not more often than every few seconds.
#pragma once

#include "plugins/mds/rest.hpp"
#include "plugins/mds/target.hpp"

namespace rideau::mds {

class SpaceWatch {
 public:
  SpaceWatch(Target& target, ObjectTargets& calls) : target_(target), calls_(calls), rest_(target.runtime) {}

  // Runs until stop().
  Task<> run();
  void stop();

 private:
  Task<> ask_all();

  Target& target_;
  ObjectTargets& calls_;
  Rest rest_;
};

}  // namespace rideau::mds
