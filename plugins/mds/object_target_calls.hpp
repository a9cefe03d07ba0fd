// SPDX-License-Identifier: Apache-2.0
// ObjectTargetCalls: asks object targets over their sessions.
#pragma once

#include "framework/rpc/client_session.hpp"
#include "plugins/fs/object_channel.hpp"
#include "plugins/mds/options.hpp"

#include <map>
#include <memory>

namespace rideau::mds {

class ObjectTargetCalls final : public ObjectTargets {
 public:
  explicit ObjectTargetCalls(fs::TargetId own) : own_(own) {}
  // The session is lent; it reconnects by itself.
  void add_target(fs::TargetId target, rpc::ClientSession& session);
  // The target has lost something that it had answered.
  void note_loss(fs::TargetId target) { ++losses_[target]; }
  Task<Status> destroy(fs::TargetId target, std::vector<ObjectId> objects) override;
  Task<Status> fence(fs::TargetId target, Uuid client, std::uint64_t session) override;
  Task<Result<std::vector<ObjectId>>> list(fs::TargetId target, ObjectId after, fs::InodeId end) override;
  Task<Result<std::uint64_t>> bytes_free(fs::TargetId target) override;
  fs::ObjectChannel* channel(fs::TargetId target) override;
  std::uint64_t losses(fs::TargetId target) const override;

 private:
  fs::TargetId own_;
  std::map<fs::TargetId, rpc::ClientSession*> sessions_;
  std::map<fs::TargetId, std::unique_ptr<fs::SessionChannel>> channels_;
  std::map<fs::TargetId, std::uint64_t> losses_;
};

}  // namespace rideau::mds
