// SPDX-License-Identifier: Apache-2.0
// The queues of ObjectLocks. They are short: a session has a bounded number of calls in flight.
#include "plugins/oss/object_locks.hpp"

namespace rideau::oss {

bool ObjectLocks::must_wait(const Queue& queue, Queue::const_iterator place) noexcept {
  for (auto earlier = queue.begin(); earlier != place; ++earlier) {
    if ((*earlier)->conflicts(**place)) return true;
  }
  return false;
}

Task<> ObjectLocks::lock(Hold& hold) {
  Queue& queue = queues_[hold.id_];
  queue.push_back(&hold);
  if (!must_wait(queue, std::prev(queue.end()))) hold.granted_.set();
  co_await hold.granted_.wait();
}

void ObjectLocks::unlock(Hold& hold) {
  const auto found = queues_.find(hold.id_);
  RIDEAU_ASSERT(found != queues_.end());
  Queue& queue = found->second;
  queue.remove(&hold);
  if (queue.empty()) {
    queues_.erase(found);
    return;
  }
  for (auto place = queue.begin(); place != queue.end(); ++place) {
    if (!(*place)->granted_.is_set() && !must_wait(queue, place)) (*place)->granted_.set();
  }
}

}  // namespace rideau::oss
