// SPDX-License-Identifier: Apache-2.0
#include "lent_call.hpp"

#include <mutex>
#include <set>

namespace rideau::backend {
namespace {

// An instance that loses its power with the caller completes nothing; what was lent to it stays, and stays known.
std::mutex mutex;
std::set<LentCall*>& all() {
  static auto* const calls = new std::set<LentCall*>;
  return *calls;
}

}  // namespace

void LentCall::abandon(LentCall* call) noexcept {
  if (call == nullptr) return;
  call->abandoned = true;
  if (!call->lent) {
    delete call;
    return;
  }
  const std::lock_guard lock(mutex);
  all().insert(call);
}

bool LentCall::ends_abandoned(LentCall* call) noexcept {
  call->lent = false;
  if (!call->abandoned) return false;
  {
    const std::lock_guard lock(mutex);
    all().erase(call);
  }
  delete call;
  return true;
}

}  // namespace rideau::backend
