// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/fencing.hpp"

#include "framework/observe/log.hpp"

#include <algorithm>
#include <cinttypes>

namespace rideau::mds {

namespace {
constexpr std::uint64_t kRetryNs = kSecond;
}  // namespace

Fencing::Fencing(Target& target, ObjectTargets& calls)
    : target_(target), calls_(calls), asked_(target.runtime), rest_(target.runtime), tasks_(target.runtime) {}

Task<> Fencing::stop() {
  rest_.stop();
  asked_.wake_all();
  co_await tasks_.join();
}

Task<> Fencing::fence(Uuid client, std::uint64_t session) {
  const auto& targets = target_.options.object_targets;
  const auto round = std::make_shared<Round>(Round{client, session, targets.size()});
  for (const fs::TargetId at : targets) tasks_.spawn(fence_at(at, round));
  while (round->unasked != 0 && !rest_.stopped()) co_await asked_.wait();
}

Task<> Fencing::fence_at(fs::TargetId at, std::shared_ptr<Round> round) {
  for (bool first = true; !rest_.stopped(); first = false) {
    const Status fenced = co_await calls_.fence(at, round->client, round->session);
    if (first) {
      --round->unasked;
      asked_.wake_all();
    }
    const auto& all = target_.options.object_targets;
    if (fenced.ok() || !std::binary_search(all.begin(), all.end(), at)) co_return;
    if (first) {
      target_.log.warning("object target %" PRIu32
                          " could not be told that client %s lost its locks (%s): it is told "
                          "as soon as it answers",
                          at, to_text(round->client).c_str(), code_name(fenced.code));
    }
    co_await rest_.sleep(kRetryNs);
  }
}

}  // namespace rideau::mds
