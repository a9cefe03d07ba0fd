// SPDX-License-Identifier: Apache-2.0
#include "framework/lock/lock_manager.hpp"

#include "framework/base/assert.hpp"
#include "framework/base/sim_hooks.hpp"

#include <algorithm>
#include <utility>

namespace rideau::lock {

namespace {
constexpr std::size_t kAskedBackMax = 16 * 1024;  // resources that are remembered
}

LockManager::~LockManager() {
  for (auto& [id, holder] : holders_) {
    while (holder.newest != nullptr) delete std::exchange(holder.newest, holder.newest->older);
  }
}

LockManager::Lock* LockManager::find(const Resource& resource, HolderId holder) const noexcept {
  Lock* lock = resource.first;
  while (lock != nullptr && lock->holder != holder) lock = lock->next;
  return lock;
}

LockManager::Lock* LockManager::find(HolderId holder, ResourceId id) const noexcept {
  const auto resource = resources_.find(id);
  return resource == resources_.end() ? nullptr : find(resource->second, holder);
}

bool LockManager::is_free(const Resource& resource, HolderId holder, Mode mode) noexcept {
  if (RIDEAU_PLANTED_BUG(lock_waits_for_nobody)) return true;
  for (const Lock* lock = resource.first; lock != nullptr; lock = lock->next) {
    if (lock->holder != holder && !compatible(lock->mode, mode)) return false;
  }
  return true;
}

// Whether an operation of another session, under way, would not bear such a lock.
bool LockManager::is_claimed(const Resource& resource, HolderId holder, Mode mode) noexcept {
  if (resource.queue == nullptr) return false;
  return std::any_of(resource.queue->claims.begin(), resource.queue->claims.end(),
                     [&](const Waiter& claim) { return claim.holder != holder && !compatible(claim.mode, mode); });
}

LockManager::Queue& LockManager::queue_of(Resource& resource) {
  if (resource.queue == nullptr) resource.queue = std::make_unique<Queue>();
  return *resource.queue;
}

LockManager::Lock& LockManager::grant(Resource& resource, ResourceId id, HolderId holder, Mode mode) {
  Lock* lock = find(resource, holder);
  if (lock == nullptr) {
    Holder& owner = holders_[holder];
    lock = new Lock{holder, id, 0, resource.first, nullptr, owner.newest, Mode::none, 0, false};
    resource.first = lock;
    if (owner.newest != nullptr) owner.newest->newer = lock;
    owner.newest = lock;
    ++owner.count;
    ++locks_;
  }
  lock->number = ++last_number_;
  lock->mode = mode;
  lock->asked_for = 0;
  if (mode == Mode::exclusive) note_watched(id);
  return *lock;
}

bool LockManager::end_watch(ResourceId id) {
  const auto watch = watched_.find(id);
  RIDEAU_ASSERT(watch != watched_.end());
  const bool granted = watch->second;
  watched_.erase(watch);
  return granted;
}

void LockManager::remove(Resource& resource, Lock* lock) {
  Lock** link = &resource.first;
  while (*link != lock) link = &(*link)->next;
  *link = lock->next;
  Holder& owner = holders_[lock->holder];
  (lock->newer != nullptr ? lock->newer->older : owner.newest) = lock->older;
  if (lock->older != nullptr) lock->older->newer = lock->newer;
  --owner.count;
  --locks_;
  const HolderId holder = lock->holder;
  delete lock;
  forget_if_unused(holder);
}

void LockManager::forget_if_unused(HolderId id) {
  const auto found = holders_.find(id);
  if (found != holders_.end() && found->second.count == 0 && found->second.waits.empty()) holders_.erase(found);
}

Grant LockManager::try_grant(HolderId holder, ResourceId id, Mode mode) {
  Resource& resource = resources_[id];
  Lock* lock = find(resource, holder);
  if (lock != nullptr && (lock->mode >= mode || lock->asked_for != 0)) return {lock->mode, lock->number};
  bool possible = (lock != nullptr || locks_ < locks_max_) && is_free(resource, holder, mode) &&
                  !is_claimed(resource, holder, mode);
  if (possible && resource.queue != nullptr) {
    for (const Waiter& waiter : resource.queue->waiters) {
      if (waiter.holder != holder && !compatible(waiter.mode, mode)) possible = false;
    }
  }
  if (possible) lock = &grant(resource, id, holder, mode);
  if (lock != nullptr) return {lock->mode, lock->number};
  if (resource.first == nullptr && resource.queue == nullptr) resources_.erase(id);
  return {};
}

Task<Status> LockManager::acquire(HolderId holder, ResourceId id, Mode mode) {
  if (mode == Mode::none) co_return Status{Code::invalid, 0, "lock mode none"};
  if (held(holder, id).mode >= mode) co_return kOk;
  const Outcome granted = co_await submit([&](Completion& done) {
    queue_of(resources_[id]).waiters.push_back({holder, mode, &done});
    holders_[holder].waits.push_back(id);
    settle(id);
    return Submitted::pending;
  });
  co_return granted.status;
}

void LockManager::told(HolderId holder, ResourceId id) {
  Lock* lock = find(holder, id);
  if (lock == nullptr || !lock->untold) return;
  lock->untold = false;
  settle(id);
}

bool LockManager::is_free_for(HolderId holder, ResourceId id, Mode mode) const noexcept {
  const auto resource = resources_.find(id);
  return resource == resources_.end() || is_free(resource->second, holder, mode);
}

Task<Status> LockManager::claim(HolderId holder, ResourceId id, Mode mode) {
  const Outcome granted = co_await submit([&](Completion& done) {
    queue_of(resources_[id]).claims.push_back({holder, mode, &done});
    holders_[holder].waits.push_back(id);
    settle(id);
    return Submitted::pending;
  });
  co_return granted.status;
}

void LockManager::end_claim(HolderId holder, ResourceId id, Mode mode) {
  const auto found = resources_.find(id);
  RIDEAU_ASSERT(found != resources_.end() && found->second.queue != nullptr);
  std::vector<Waiter>& claims = found->second.queue->claims;
  const auto claim = std::find_if(claims.begin(), claims.end(), [&](const Waiter& one) {
    return one.holder == holder && one.mode == mode && one.done == nullptr;
  });
  RIDEAU_ASSERT(claim != claims.end());
  claims.erase(claim);
  settle(id);
}

void LockManager::stop_waiting(HolderId holder, ResourceId id) {
  std::vector<ResourceId>& waits = holders_[holder].waits;
  const auto wait = std::find(waits.begin(), waits.end(), id);
  RIDEAU_ASSERT(wait != waits.end());
  *wait = waits.back();
  waits.pop_back();
  forget_if_unused(holder);
}

void LockManager::ask(ResourceId, Resource& resource, HolderId holder, Mode mode, std::vector<Lock*>& asked) {
  for (Lock* lock = resource.first; lock != nullptr; lock = lock->next) {
    if (lock->holder == holder || lock->untold || compatible(lock->mode, mode)) continue;
    if (lock->asked_for >= static_cast<std::uint8_t>(mode)) continue;
    lock->asked_for = static_cast<std::uint8_t>(mode);
    asked.push_back(lock);
  }
}

void LockManager::settle(ResourceId id) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  Resource& resource = found->second;
  if (resource.queue != nullptr) {
    Queue& queue = *resource.queue;
    for (Waiter& claim : queue.claims) {
      if (claim.done == nullptr || !is_free(resource, claim.holder, claim.mode)) continue;
      stop_waiting(claim.holder, id);
      runtime_.complete(*std::exchange(claim.done, nullptr), kOk, 0);
    }
    while (!queue.waiters.empty()) {
      const Waiter first = queue.waiters.front();
      if (!is_free(resource, first.holder, first.mode) || is_claimed(resource, first.holder, first.mode)) break;
      queue.waiters.pop_front();
      const Lock* had = find(resource, first.holder);
      if (had == nullptr || had->mode < first.mode) grant(resource, id, first.holder, first.mode).untold = true;
      stop_waiting(first.holder, id);
      runtime_.complete(*first.done, kOk, 0);
    }
    std::vector<Lock*> asked;
    for (const Waiter& claim : queue.claims) {
      if (claim.done != nullptr) ask(id, resource, claim.holder, claim.mode, asked);
    }
    if (!queue.waiters.empty()) ask(id, resource, queue.waiters.front().holder, queue.waiters.front().mode, asked);
    if (!asked.empty()) note_asked_back(id);
    for (const Lock* lock : asked) {
      events_.revoke(lock->holder, id, lock->number, static_cast<Mode>(lock->asked_for));
    }
    if (queue.waiters.empty() && queue.claims.empty()) resource.queue.reset();
  }
  if (resource.first == nullptr && resource.queue == nullptr) resources_.erase(found);
}

void LockManager::note_asked_back(ResourceId id) {
  const std::uint64_t now = runtime_.now_ns();
  while (!asked_back_order_.empty()) {
    const auto [when, oldest] = asked_back_order_.front();
    if (now - when < kOftenNs && asked_back_order_.size() < kAskedBackMax) break;
    asked_back_order_.pop_front();
    const auto found = asked_back_.find(oldest);
    if (found != asked_back_.end() && found->second.last_ns == when) asked_back_.erase(found);
  }
  const auto [found, is_new] = asked_back_.try_emplace(id);
  AskedBack& entry = found->second;
  if (!is_new && now - entry.last_ns < kOftenNs) entry.contended_until_ns = now + kWithheldNs;
  entry.last_ns = now;
  asked_back_order_.emplace_back(now, id);
}

bool LockManager::is_contended(ResourceId id) const noexcept {
  const auto found = asked_back_.find(id);
  return found != asked_back_.end() && runtime_.now_ns() < found->second.contended_until_ns;
}

void LockManager::release(HolderId holder, ResourceId id, GrantNumber number) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  Lock* lock = find(found->second, holder);
  if (lock == nullptr || lock->number > number) return;
  remove(found->second, lock);
  settle(id);
}

void LockManager::forget(ResourceId id) {
  const auto found = resources_.find(id);
  if (found == resources_.end()) return;
  while (found->second.first != nullptr) remove(found->second, found->second.first);
  settle(id);
}

void LockManager::drop_waiting(HolderId holder) {
  const auto owner = holders_.find(holder);
  if (owner == holders_.end()) return;
  constexpr Status ended{Code::closed, 0, "session ended while it waited for a lock"};
  const std::vector<ResourceId> waits = std::exchange(owner->second.waits, {});
  forget_if_unused(holder);
  for (const ResourceId id : waits) {
    Queue& queue = *resources_.at(id).queue;
    const auto ends = [&](const Waiter& waiter) {
      if (waiter.holder != holder || waiter.done == nullptr) return false;
      runtime_.complete(*waiter.done, ended, 0);
      return true;
    };
    std::erase_if(queue.waiters, ends);
    std::erase_if(queue.claims, ends);
  }
  for (const ResourceId id : waits) settle(id);
}

void LockManager::drop(HolderId holder) {
  drop_waiting(holder);
  for (;;) {
    const auto owner = holders_.find(holder);
    if (owner == holders_.end() || owner->second.newest == nullptr) return;
    Lock* lock = owner->second.newest;
    const ResourceId id = lock->resource;
    remove(resources_.at(id), lock);
    settle(id);
  }
}

std::size_t LockManager::count(HolderId holder) const noexcept {
  const auto found = holders_.find(holder);
  return found == holders_.end() ? 0 : found->second.count;
}

Grant LockManager::held(HolderId holder, ResourceId id) const noexcept {
  const Lock* lock = find(holder, id);
  return lock == nullptr ? Grant{} : Grant{lock->mode, lock->number};
}

bool LockManager::is_asked_back(HolderId holder, ResourceId id) const noexcept {
  const Lock* lock = find(holder, id);
  return lock != nullptr && lock->asked_for != 0;
}

std::vector<LockManager::Held> LockManager::in_the_way(HolderId holder, ResourceId id, Mode mode) const {
  std::vector<Held> found;
  const auto resource = resources_.find(id);
  if (resource == resources_.end()) return found;
  for (const Lock* lock = resource->second.first; lock != nullptr; lock = lock->next) {
    if (lock->holder != holder && !compatible(lock->mode, mode)) found.push_back({lock->holder, lock->number});
  }
  return found;
}

HolderId LockManager::first_waiting(ResourceId id) const noexcept {
  const auto resource = resources_.find(id);
  if (resource == resources_.end() || resource->second.queue == nullptr) return 0;
  const Queue& queue = *resource->second.queue;
  for (const Waiter& claim : queue.claims) {
    if (claim.done != nullptr) return claim.holder;
  }
  return queue.waiters.empty() ? 0 : queue.waiters.front().holder;
}

}  // namespace rideau::lock
