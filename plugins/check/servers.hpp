// SPDX-License-Identifier: Apache-2.0
// Running servers as sources of the check. They only read: nothing is mended behind servers.
#pragma once

#include "framework/rpc/client_session.hpp"
#include "plugins/check/sources.hpp"

namespace rideau::check {

// The session is lent and connected.
class ServerRecords final : public MetaSource {
 public:
  explicit ServerRecords(rpc::ClientSession& session, std::uint32_t page_records = 1024)
      : session_(session), page_records_(page_records) {}

  Task<Status> begin() override;
  Task<Result<Records>> next(const std::string& after) override;
  Task<Result<Values>> get(const std::vector<std::string>& keys) override;
  std::uint64_t transaction() const override { return transaction_; }
  Task<Status> change(const Edits& edits) override;

 private:
  rpc::ClientSession& session_;
  const std::uint32_t page_records_;
  std::uint64_t transaction_ = 0;
};

class ServerObjects final : public ObjectSource {
 public:
  ServerObjects(fs::TargetId target, rpc::ClientSession& session) : target_(target), session_(session) {}
  fs::TargetId target() const override { return target_; }
  Task<Result<std::vector<ObjectId>>> next(std::optional<ObjectId> after) override;
  Task<Status> destroy(const std::vector<ObjectId>& objects) override;

 private:
  const fs::TargetId target_;
  rpc::ClientSession& session_;
};

}  // namespace rideau::check
