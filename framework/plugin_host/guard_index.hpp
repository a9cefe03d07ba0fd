// SPDX-License-Identifier: Apache-2.0
// The guard of an IndexStore. Private to this folder.
#pragma once

#include "framework/plugin_host/guard_core.hpp"
#include "rideau/index_store.hpp"

#include <map>
#include <memory>
#include <vector>

namespace rideau {

class GuardSnapshot;

class GuardIndexStore final : public GuardedLife<IndexStore> {
 public:
  GuardIndexStore(GuardCore& core, IndexStore& plugin);
  ~GuardIndexStore() override;

  IndexLimits limits() const noexcept override;
  Status snapshot(Snapshot** out) noexcept override;
  Submitted commit(IndexBatch* batches, std::uint32_t count, Durability durability, Completion& done) noexcept override;
  Status space(IndexSpace* out) noexcept override;

 private:
  friend class GuardSnapshot;
  void when_stopped() override;
  void forget(const GuardSnapshot& snapshot);
  void check_results(const GuardCall& call, std::uint64_t submitted, const IndexBatch* batches, std::uint32_t count);

  std::vector<std::unique_ptr<GuardSnapshot>> snapshots_;
  // The sequences of the last commits that completed, by the order in which they were submitted.
  struct Sequences {
    std::uint64_t first;
    std::uint64_t last;
  };
  std::map<std::uint64_t, Sequences> completed_;
  std::uint64_t submitted_ = 0;
};

}  // namespace rideau
