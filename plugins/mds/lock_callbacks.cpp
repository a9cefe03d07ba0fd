// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/lock_callbacks.hpp"

#include "framework/base/limits.hpp"
#include "framework/rpc/server.hpp"
#include "plugins/fs/codec.hpp"

#include <utility>

namespace rideau::mds {

// The lock manager is in the middle of its work when it asks, so this goes on later.
void LockCallbacks::revoke(lock::HolderId holder, lock::ResourceId resource, lock::GrantNumber number,
                           lock::Mode wanted) {
  ask(holder, locks_->first_waiting(resource), {{resource, wanted, {}, runtime_.now_ns()}, number});
}

void LockCallbacks::revoke_extent(lock::HolderId holder, lock::ResourceId resource, lock::Extent range,
                                  lock::GrantNumber number, lock::Mode wanted) {
  ++asked_extents_;
  ask(holder, extents_->first_waiting(resource), {{resource, wanted, {}, runtime_.now_ns()}, number, true, range});
}

void LockCallbacks::ask(lock::HolderId holder, lock::HolderId for_whom, Ask ask) {
  const Session* waiting = sessions_.find(for_whom);
  if (waiting != nullptr && waiting->link != nullptr) ask.about.waiter = waiting->link->client_name();
  ++asked_;
  kick(holder).unsent.push_back(std::move(ask));
}

void LockCallbacks::set_budget(lock::HolderId holder, std::uint64_t locks) { kick(holder).budget = locks; }

LockCallbacks::Asks& LockCallbacks::kick(lock::HolderId holder) {
  Asks& asks = sessions_asked_[holder];
  if (!asks.sending) {
    asks.sending = true;
    tasks_.spawn(send(holder));
  }
  return asks;
}

LockCallbacks::Asks* LockCallbacks::find(lock::HolderId holder) {
  const auto found = sessions_asked_.find(holder);
  return found == sessions_asked_.end() ? nullptr : &found->second;
}

bool LockCallbacks::is_owed(lock::HolderId holder, const Ask& ask) const {
  if (ask.is_part) return extents_->owes(holder, ask.about.resource, ask.range, ask.number);
  return locks_->held(holder, ask.about.resource).number == ask.number;
}

Task<> LockCallbacks::send(lock::HolderId holder) {
  co_await yield_now(runtime_);  // what is asked for together goes together
  for (;;) {
    Asks* asks = find(holder);
    Session* session = sessions_.find(holder);
    if (asks == nullptr) co_return;
    if (session == nullptr || session->link == nullptr) {
      sessions_asked_.erase(holder);
      co_return;
    }
    fs::RevokeRequest request;
    while (!asks->unsent.empty() && request.items.size() + request.extents.size() < limits::kLockItemsMax) {
      Ask ask = std::move(asks->unsent.front());
      asks->unsent.pop_front();
      if (!is_owed(holder, ask)) continue;
      if (ask.is_part) {
        request.extents.push_back({ask.about.resource, ask.range.begin, ask.range.end, ask.number});
      } else {
        request.items.push_back({ask.about.resource, ask.number});
      }
      asks->sent.push_back(std::move(ask));
    }
    request.budget = std::exchange(asks->budget, 0);
    if (request.items.empty() && request.extents.empty() && request.budget == 0) {
      asks->sending = false;
      if (asks->sent.empty() && !asks->watching) sessions_asked_.erase(holder);
      co_return;
    }
    if (!asks->watching && !asks->sent.empty()) {
      asks->watching = true;
      tasks_.spawn(watch(holder));
    }
    wire::Encoded body;
    encode(request, body);
    const rpc::Reply heard =
        co_await session->link->call_back(static_cast<std::uint16_t>(fs::MetaCallback::revoke), body.bytes(), 0);
    if (heard.ok()) continue;
    evict_(holder, heard.status.code == Code::timed_out ? "no answer to the revocation of a lock"
                                                        : "the revocation of a lock failed");
    co_return;
  }
}

// What was asked for was heard, or soon is; now what is dirty is written. That may take long, but not for ever.
Task<> LockCallbacks::watch(lock::HolderId holder) {
  constexpr std::uint64_t kLookNs = kSecond;
  constexpr std::uint64_t kLimitNs = limits::kGiveBackMs * kMillisecond;
  while (!rest_.stopped()) {
    Asks* asks = find(holder);
    if (asks == nullptr) co_return;
    const Evictions::Asked* oldest_asked = oldest(holder);
    if (oldest_asked == nullptr) {
      asks->watching = false;
      if (!asks->sending) sessions_asked_.erase(holder);
      co_return;
    }
    if (runtime_.now_ns() - oldest_asked->since_ns >= kLimitNs) {
      evict_(holder, "a revoked lock was not given back");
      co_return;
    }
    co_await rest_.sleep(kLookNs);
  }
}

const Evictions::Asked* LockCallbacks::oldest(lock::HolderId holder) {
  Asks* asks = find(holder);
  if (asks == nullptr) return nullptr;
  while (!asks->sent.empty() && !is_owed(holder, asks->sent.front())) asks->sent.pop_front();
  return asks->sent.empty() ? nullptr : &asks->sent.front().about;
}

}  // namespace rideau::mds
