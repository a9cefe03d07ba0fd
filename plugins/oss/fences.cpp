// SPDX-License-Identifier: Apache-2.0
#include "plugins/oss/fences.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>

namespace rideau::oss {

// Whether a fence stands against what rests on this session.
bool Fences::stands(const Uuid& client, const wire::LockSession& lock) const {
  if (RIDEAU_PLANTED_BUG(ignores_fences)) return false;
  const std::uint64_t fenced = index_.fenced_session({client, lock.target});
  return fenced != 0 && lock.session <= fenced;
}

Status Fences::admit(const Uuid& client, const std::vector<wire::LockSession>& lock_sessions, std::string* why) const {
  for (const wire::LockSession& lock : lock_sessions) {
    if (!stands(client, lock)) continue;
    RIDEAU_MARK(fenced_client_refused);
    *why = "metadata target " + std::to_string(lock.target) +
           " has given this client's locks to others; it is let in " + "again once it has a new session there";
    return {Code::busy, 0, "fenced client"};
  }
  return kOk;
}

void Fences::remove(rpc::ServerSession& session) {
  sessions_.erase(session.id());
  ended_.wake_all();
}

std::vector<rpc::ServerSession*> Fences::fenced_sessions() const {
  std::vector<rpc::ServerSession*> found;
  for (const auto& [id, session] : sessions_) {
    const auto& locks = session->lock_sessions();
    const bool fenced = std::any_of(locks.begin(), locks.end(), [&, of = session](const wire::LockSession& lock) {
      return stands(of->client(), lock);
    });
    if (fenced) found.push_back(session);
  }
  return found;
}

Task<Status> Fences::fence(const fs::ObjectFenceRequest& request) {
  const FenceId id{request.client, request.target};
  const Status stored = co_await index_.store_fence(id, request.session);
  if (!stored.ok()) {
    log_.error("fence against client %s: %s; asked for again it is tried again", to_text(request.client).c_str(),
               code_name(stored.code));
    co_return stored;
  }
  const std::string reason = "metadata target " + std::to_string(request.target) + " gave its locks to others";
  if (!fenced_sessions().empty()) RIDEAU_MARK(session_fenced);
  for (rpc::ServerSession* session : fenced_sessions()) session->evict(reason);
  while (!fenced_sessions().empty()) co_await ended_.wait();
  co_return kOk;
}

}  // namespace rideau::oss
