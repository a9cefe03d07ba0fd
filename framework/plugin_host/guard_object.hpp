// SPDX-License-Identifier: Apache-2.0
// The guard of an ObjectStore. Private to this folder.
#pragma once

#include "framework/plugin_host/guard_core.hpp"
#include "rideau/object_store.hpp"

#include <vector>

namespace rideau {

class GuardObjectStore final : public GuardedLife<ObjectStore> {
 public:
  GuardObjectStore(GuardCore& core, ObjectStore& plugin) : GuardedLife(core, plugin) {}

  ObjectLimits limits() const noexcept override;
  Submitted read(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                 Completion& done) noexcept override;
  Submitted write(ObjectId id, std::uint64_t offset, const IoVec* parts, std::uint32_t part_count,
                  Completion& done) noexcept override;
  Submitted truncate(ObjectId id, std::uint64_t size, Completion& done) noexcept override;
  Submitted punch(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override;
  Submitted remove(ObjectId id, Completion& done) noexcept override;
  Submitted stat(ObjectId id, ObjectStat* out, Completion& done) noexcept override;
  Submitted list(const ObjectId* after, ObjectId* out, std::uint32_t capacity, Completion& done) noexcept override;
  Submitted flush(const ObjectId* ids, std::uint32_t count, Completion& done) noexcept override;
  Status space(ObjectSpace* out) noexcept override;
  Submitted lend(ObjectId id, std::uint64_t offset, std::uint64_t size, Purpose purpose, ObjectLoan* out,
                 Completion& done) noexcept override;
  void give_back(ObjectLoan& loan) noexcept override;
  Submitted allocate(ObjectId id, std::uint64_t offset, std::uint64_t size, Completion& done) noexcept override;
  Submitted find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out, Completion& done) noexcept override;

 private:
  void when_stopped() override;
  void require_supported(const GuardCall& call, Capability capability);

  std::vector<ObjectLoan> loans_;
};

}  // namespace rideau
