// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/space_watch.hpp"

namespace rideau::mds {

namespace {
constexpr std::uint64_t kPauseNs = 10 * kSecond;
}  // namespace

Task<> SpaceWatch::run() {
  while (!rest_.stopped()) {
    co_await target_.placement.until_choice();
    if (rest_.stopped()) break;
    co_await ask_all();
    co_await rest_.sleep(kPauseNs);
  }
}

void SpaceWatch::stop() {
  rest_.stop();
  target_.placement.wake();
}

Task<> SpaceWatch::ask_all() {
  const std::vector<fs::TargetId> targets = target_.options.object_targets;
  for (const fs::TargetId target : targets) {
    const Result<std::uint64_t> free = co_await calls_.bytes_free(target);
    if (rest_.stopped()) break;
    if (free.ok()) {
      target_.placement.tell_free(target, *free);
    } else {
      target_.placement.forget_free(target);
    }
  }
}

}  // namespace rideau::mds
