// SPDX-License-Identifier: Apache-2.0
#include "framework/lock/lock_manager.hpp"

#include <algorithm>

namespace rideau::lock {

bool LockManager::grantable(const Resource& resource, HolderId holder, Mode mode) const noexcept {
  for (const auto& [other, holding] : resource.holders) {
    if (other != holder && !compatible(holding.mode, mode)) return false;
  }
  return true;
}

void LockManager::enqueue(ResourceId id, Waiter waiter) {
  Resource& resource = resources_[id];
  // A conversion goes before those who hold nothing: they could not be granted before it anyway. Conversions keep
  // their order among each other.
  auto place = resource.waiters.end();
  if (resource.holders.count(waiter.holder) != 0) {
    place = std::find_if(resource.waiters.begin(), resource.waiters.end(),
                         [&](const Waiter& other) { return resource.holders.count(other.holder) == 0; });
  }
  resource.waiters.insert(place, waiter);
  grant_waiters(id, resource);
}

void LockManager::grant_waiters(ResourceId id, Resource& resource) {
  while (!resource.waiters.empty()) {
    const Waiter first = resource.waiters.front();
    if (!grantable(resource, first.holder, first.mode)) break;
    resource.waiters.pop_front();
    resource.holders[first.holder] = Holding{first.mode, Mode::none};
    runtime_.complete(*first.done, kOk, 0);
  }
  revoke_conflicts(id, resource);
}

// Asks everybody who stands in the way of a waiter, each once for each strength of conflict. Holders that only wait
// themselves to convert are asked too: of two that convert, one has to give way.
void LockManager::revoke_conflicts(ResourceId id, Resource& resource) {
  if (resource.waiters.empty()) return;
  const Waiter& first = resource.waiters.front();
  std::vector<HolderId> asked;
  for (auto& [holder, holding] : resource.holders) {
    if (holder == first.holder || compatible(holding.mode, first.mode)) continue;
    if (holding.asked_for >= first.mode) continue;
    holding.asked_for = first.mode;
    asked.push_back(holder);
  }
  const Mode wanted = first.mode;
  for (const HolderId holder : asked) events_.revoke(holder, id, wanted);
}

Task<Status> LockManager::acquire(HolderId holder, ResourceId resource, Mode mode) {
  if (mode == Mode::none) co_return Status{Code::invalid, 0, "lock mode none"};
  if (held(holder, resource) >= mode) co_return kOk;
  const Outcome granted = co_await submit([&](Completion& done) {
    enqueue(resource, Waiter{holder, mode, &done});
    return Submitted::pending;
  });
  co_return granted.status;
}

void LockManager::release(HolderId holder, ResourceId id) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  if (found->second.holders.erase(holder) == 0) return;
  grant_waiters(id, found->second);
  forget_if_unused(id);
}

void LockManager::drop_waiting(HolderId holder) {
  std::vector<ResourceId> touched;
  for (auto& [id, resource] : resources_) {
    const std::size_t before = resource.waiters.size();
    for (auto waiter = resource.waiters.begin(); waiter != resource.waiters.end();) {
      if (waiter->holder != holder) {
        ++waiter;
        continue;
      }
      runtime_.complete(*waiter->done, Status{Code::closed, 0, "session ended while it waited for a lock"}, 0);
      waiter = resource.waiters.erase(waiter);
    }
    if (resource.waiters.size() != before) touched.push_back(id);
  }
  settle(touched);
}

void LockManager::drop(HolderId holder) {
  drop_waiting(holder);
  std::vector<ResourceId> touched;
  for (auto& [id, resource] : resources_) {
    if (resource.holders.erase(holder) != 0) touched.push_back(id);
  }
  settle(touched);
}

void LockManager::settle(const std::vector<ResourceId>& touched) {
  for (const ResourceId id : touched) {
    grant_waiters(id, resources_[id]);
    forget_if_unused(id);
  }
}

bool LockManager::holds(HolderId holder) const noexcept {
  return std::any_of(resources_.begin(), resources_.end(),
                     [&](const auto& entry) { return entry.second.holders.count(holder) != 0; });
}

void LockManager::forget_if_unused(ResourceId id) {
  const auto found = resources_.find(id);
  if (found != resources_.end() && found->second.holders.empty() && found->second.waiters.empty()) {
    resources_.erase(found);
  }
}

Mode LockManager::held(HolderId holder, ResourceId id) const noexcept {
  const auto resource = resources_.find(id);
  if (resource == resources_.end()) return Mode::none;
  const auto holding = resource->second.holders.find(holder);
  return holding == resource->second.holders.end() ? Mode::none : holding->second.mode;
}

HolderId LockManager::first_waiting(ResourceId id) const noexcept {
  const auto resource = resources_.find(id);
  const bool any = resource != resources_.end() && !resource->second.waiters.empty();
  return any ? resource->second.waiters.front().holder : 0;
}

std::size_t LockManager::waiting() const noexcept {
  std::size_t count = 0;
  for (const auto& [id, resource] : resources_) count += resource.waiters.size();
  return count;
}

}  // namespace rideau::lock
