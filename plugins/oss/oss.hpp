// SPDX-License-Identifier: Apache-2.0
// Oss: the role that keeps bytes. One instance is one target: an object store for the bytes and a small index for what
// must happen exactly once (index.hpp). Several live in a process side by side.
//
// It tells no transaction numbers: a client that wants bytes to be durable asks for it, object by object (sync).
#pragma once

#include "framework/base/uuid.hpp"
#include "framework/rpc/server.hpp"
#include "framework/runtime/task_group.hpp"
#include "plugins/fs/ids.hpp"
#include "plugins/oss/target.hpp"

#include <cstdint>
#include <string>

namespace rideau::oss {

struct OssOptions {
  Uuid cluster{};
  fs::TargetId target = 0;
  GrantOptions grants{};
  std::uint32_t destroyed_max = 65'536;  // destroyed objects that are remembered
  bool checksums = false;                // the store has kObjectChecksums
  Uuid machine_boot{};                   // of the machine now, if the store has kObjectOutlivesProcess
};

class Oss final : public rpc::Service {
 public:
  // Store and index are lent, started, and nobody else's.
  Oss(Runtime& runtime, Logger& log, ObjectStore& store, IndexStore& index, OssOptions options);

  // Makes a new target of an empty index; exists when there is one already. Failures are in last_problem().
  Task<Status> format();
  // Refuses a store of another cluster or target, or one that a newer version made. Begins a new boot epoch.
  Task<Status> start();
  // Calls have ended (rpc::Server::stop); what was acknowledged becomes durable.
  Task<Status> stop();
  // Also a call (ops/fence.cpp).
  Task<Status> fence(const fs::ObjectFenceRequest& request) { return oss::fence(target_, request); }
  // So many targets may promise space of this device from now on.
  void set_device_shares(std::uint32_t shares) noexcept { target_.grants.set_device_shares(shares); }
  const std::string& last_problem() const noexcept { return last_problem_; }
  std::uint64_t boot_epoch() const noexcept { return index_.boot_epoch(); }
  std::uint64_t kept_from() const noexcept { return index_.kept_from(); }
  // Space, grants, the index.
  void collect(MetricList& to) const;

  // rpc::Service
  Task<> handle(rpc::ServerCall& call) override;
  Status admit(const Uuid& client, const std::vector<wire::LockSession>& lock_sessions, std::string* why) override;
  void on_session(rpc::ServerSession& session) override;
  // No call here waits for another client.
  void on_session_closing(rpc::ServerSession&, const std::string&) override {}
  void on_session_end(rpc::ServerSession& session) override;
  std::uint64_t durable() const noexcept override { return 0; }
  std::uint64_t next_session_id() override;
  rpc::MethodName method_name() const noexcept override;

 private:
  Task<> end_session(std::uint64_t session);

  OssOptions options_;
  OssIndex index_;
  Target target_;
  TaskGroup tasks_;
  std::uint32_t next_session_ = 1;
  std::string last_problem_;
};

}  // namespace rideau::oss
