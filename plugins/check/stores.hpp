// SPDX-License-Identifier: Apache-2.0
// The stores of stopped nodes as sources of the check.
#pragma once

#include "plugins/check/sources.hpp"
#include "rideau/index_store.hpp"
#include "rideau/object_store.hpp"

namespace rideau::check {

// The store is lent, started, and nobody else's meanwhile.
class IndexSource final : public MetaSource {
 public:
  explicit IndexSource(IndexStore& store) : store_(store) {}
  ~IndexSource();
  IndexSource(const IndexSource&) = delete;
  IndexSource& operator=(const IndexSource&) = delete;

  Task<Status> begin() override;
  Task<Result<Records>> next(const std::string& after) override;
  Task<Result<Values>> get(const std::vector<std::string>& keys) override;
  std::uint64_t transaction() const override { return 0; }
  Task<Status> change(const Edits& edits) override;

 private:
  void release();
  IndexStore& store_;
  Snapshot* snapshot_ = nullptr;
};

class StoreObjects final : public ObjectSource {
 public:
  StoreObjects(fs::TargetId target, ObjectStore& store) : target_(target), store_(store) {}
  fs::TargetId target() const override { return target_; }
  Task<Result<std::vector<ObjectId>>> next(std::optional<ObjectId> after) override;
  Task<Status> destroy(const std::vector<ObjectId>& objects) override;

 private:
  const fs::TargetId target_;
  ObjectStore& store_;
};

}  // namespace rideau::check
