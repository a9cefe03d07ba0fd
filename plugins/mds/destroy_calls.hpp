// SPDX-License-Identifier: Apache-2.0
// DestroyCalls: destroys objects by calls to the object targets.
#pragma once

#include "framework/rpc/client_session.hpp"
#include "plugins/mds/options.hpp"

#include <map>

namespace rideau::mds {

class DestroyCalls final : public ObjectDestroyer {
 public:
  // The session is lent; it reconnects by itself. Targets are added before the mds starts.
  void add_target(fs::TargetId target, rpc::ClientSession& session) { sessions_[target] = &session; }
  Task<Status> destroy(fs::TargetId target, std::vector<ObjectId> objects) override;

 private:
  std::map<fs::TargetId, rpc::ClientSession*> sessions_;
};

}  // namespace rideau::mds
