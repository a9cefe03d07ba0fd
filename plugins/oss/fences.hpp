// SPDX-License-Identifier: Apache-2.0
// Fences: which clients may change nothing here any more, since a metadata target gave what they had locked to others.
//
// A client says with its hello under which sessions at metadata targets it works. A fence names a client and its last
// session at one target: sessions here that rest on that one, or on an older one, end, and none is given anew. The
// client comes back once it has a new session there, and by then has dropped what it had.
#pragma once

#include "framework/observe/log.hpp"
#include "framework/rpc/server.hpp"
#include "framework/runtime/sync.hpp"
#include "plugins/fs/object_calls.hpp"
#include "plugins/oss/index.hpp"

#include <map>
#include <string>
#include <vector>

namespace rideau::oss {

class Fences {
 public:
  Fences(Runtime& runtime, Logger& log, OssIndex& index) : log_(log), index_(index), ended_(runtime) {}

  // As rpc::Service::admit.
  Status admit(const Uuid& client, const std::vector<wire::LockSession>& lock_sessions, std::string* why) const;
  void add(rpc::ServerSession& session) { sessions_[session.id()] = &session; }
  void remove(rpc::ServerSession& session);
  // When this ended ok, the fence is durable and no call of a session that it ends runs any more.
  Task<Status> fence(const fs::ObjectFenceRequest& request);

 private:
  bool stands(const Uuid& client, const wire::LockSession& lock) const;
  std::vector<rpc::ServerSession*> fenced_sessions() const;

  Logger& log_;
  OssIndex& index_;
  WaitQueue ended_;
  std::map<std::uint64_t, rpc::ServerSession*> sessions_;
};

}  // namespace rideau::oss
