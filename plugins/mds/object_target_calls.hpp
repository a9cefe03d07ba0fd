// SPDX-License-Identifier: Apache-2.0
// ObjectTargetCalls: asks object targets over their sessions.
#pragma once

#include "framework/rpc/client_session.hpp"
#include "plugins/mds/options.hpp"

#include <map>

namespace rideau::mds {

class ObjectTargetCalls final : public ObjectTargets {
 public:
  // The session is lent; it reconnects by itself. Targets are added before the mds starts.
  void add_target(fs::TargetId target, rpc::ClientSession& session) { sessions_[target] = &session; }
  Task<Status> destroy(fs::TargetId target, std::vector<ObjectId> objects) override;
  Task<Result<std::vector<ObjectId>>> list(fs::TargetId target, ObjectId after, fs::InodeId end) override;

 private:
  std::map<fs::TargetId, rpc::ClientSession*> sessions_;
};

}  // namespace rideau::mds
