// SPDX-License-Identifier: Apache-2.0
// ClusterSessions: one session with each target of a running cluster, for commands that ask all of them.
#pragma once

#include "framework/config/cluster_config.hpp"
#include "framework/plugin_host/catalog.hpp"
#include "framework/plugin_host/instance.hpp"
#include "framework/rpc/client_session.hpp"
#include "plugins/tools/setup.hpp"

#include <memory>
#include <string>
#include <vector>

namespace rideau::tools {

class ClusterSessions final : rpc::SessionEvents {
 public:
  // Everything is lent. `client_name` is what the servers show.
  ClusterSessions(Runtime& runtime, Logger& log, const PluginCatalog& catalog, const ClusterConfig& cluster,
                  std::string client_name);

  struct Member {
    TargetPlace place;
    std::unique_ptr<PluginInstance> transport;
    std::unique_ptr<rpc::ClientSession> session;  // connected
  };

  // All, or the first that cannot be reached is told by problem(). close() either way.
  Task<bool> open();
  Task<> close();
  const std::vector<Member>& members() const noexcept { return members_; }
  const std::string& problem() const noexcept { return problem_; }

 private:
  Task<bool> open_one(TargetPlace place);
  Task<rpc::CallbackReply> on_callback(std::uint16_t, Bytes, std::uint64_t) override { co_return rpc::CallbackReply{}; }
  void on_new_epoch(std::uint64_t, bool) override {}

  Runtime& runtime_;
  Logger& log_;
  const PluginCatalog& catalog_;
  const ClusterConfig& cluster_;
  const std::string client_name_;
  Uuid client_{};
  std::vector<Member> members_;
  std::string problem_;
};

}  // namespace rideau::tools
