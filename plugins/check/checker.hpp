// SPDX-License-Identifier: Apache-2.0
// The check of a file system: reads every record of its metadata target and the ids of all objects, tells what does not
// fit together, and mends it when asked.
#pragma once

#include "framework/base/uuid.hpp"
#include "plugins/check/findings.hpp"
#include "plugins/check/sources.hpp"

#include <functional>
#include <vector>

namespace rideau::check {

struct CheckOptions {
  Uuid cluster{};
  fs::TargetId target = 0;  // the metadata target
  bool repair = false;
  // Servers run and change what is read: what looks wrong is looked at again before it is told (second_look.hpp). Not
  // together with repair.
  bool live = false;
  std::int64_t now_ns = 0;  // for what repair makes
  // Now and then: what is being read, and how much of it so far.
  std::function<void(const char* what, std::uint64_t count)> progress;
};

// Everything is lent. ok: the check came to its end, whatever it found. refused: not this cluster's target, or of a
// newer version.
Task<Status> check(MetaSource& meta, const std::vector<ObjectSource*>& objects, const CheckOptions& options,
                   Report* report);

}  // namespace rideau::check
