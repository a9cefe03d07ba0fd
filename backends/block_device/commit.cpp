// SPDX-License-Identifier: Apache-2.0
#include "commit.hpp"

#include <mutex>
#include <set>

namespace rideau::block_device {
namespace {

// An index that loses its power with the store completes nothing; what was lent to it stays, and stays known.
std::mutex abandoned_mutex;
std::set<Commit*>& abandoned() {
  static auto* const all = new std::set<Commit*>;
  return *all;
}

}  // namespace

void Commit::abandon(Commit* commit) noexcept {
  if (commit == nullptr) return;
  commit->store = nullptr;
  if (!commit->with_index) {
    delete commit;
    return;
  }
  const std::lock_guard lock(abandoned_mutex);
  abandoned().insert(commit);
}

void Commit::free_abandoned(Commit* commit) noexcept {
  {
    const std::lock_guard lock(abandoned_mutex);
    abandoned().erase(commit);
  }
  delete commit;
}

}  // namespace rideau::block_device
