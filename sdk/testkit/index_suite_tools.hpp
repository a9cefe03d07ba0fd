// SPDX-License-Identifier: Apache-2.0
// What the rules of the index suite are written with: batches that own their bytes, calls that are awaited or left
// pending, the store under test from start to end, and comparison with the model.
#pragma once

#include "framework/runtime/await.hpp"
#include "framework/runtime/sync.hpp"
#include "sdk/testkit/dice.hpp"
#include "sdk/testkit/index_suite.hpp"
#include "sdk/testkit/model_index.hpp"

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rideau::index_suite {

// A batch with its keys and values.
class Batch {
 public:
  Batch() = default;
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;

  Batch& put(std::string_view key, std::string_view value);
  Batch& erase(std::string_view key);
  Batch& absent(std::string_view key);
  Batch& present(std::string_view key);
  Batch& equals(std::string_view key, std::string_view value);
  Batch& frees_space();
  // A put whose value is shared with others and outlives the batch.
  Batch& put_shared(std::string_view key, const std::string& value);
  IndexBatch view() const;

 private:
  Bytes keep(std::string_view text);

  std::deque<std::string> texts_;
  std::vector<Check> checks_;
  std::vector<Edit> edits_;
  bool frees_space_ = false;
};

// One commit() call with what it was given and what came of it.
class Call : Completion {
 public:
  Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  Batch& batch() { return batches_.emplace_back(); }
  void submit(IndexStore& store, Durability durability);
  // Gives up a call that will never complete, since its store was destroyed.
  void abandon(Runtime& runtime) { runtime.forget(*this); }
  void cancel(IndexStore& store) { store.cancel(*this); }

  bool ended() const noexcept { return completions_ > 0; }
  std::uint32_t completions() const noexcept { return completions_; }
  Status status() const noexcept { return Completion::status; }
  std::uint64_t value() const noexcept { return Completion::value; }
  const std::vector<IndexBatch>& views() const noexcept { return views_; }
  const IndexBatch& result(std::size_t index) const { return views_[index]; }
  // A batch as it was given, whatever the store did to its own view of it.
  IndexBatch given(std::size_t index) const { return batches_[index].view(); }
  std::size_t size() const noexcept { return batches_.size(); }
  // Applies to the model what the store says it applied.
  void apply_to(ModelIndex& model) const;

 private:
  friend class Suite;
  std::deque<Batch> batches_;
  std::vector<IndexBatch> views_;
  std::uint32_t completions_ = 0;
  WaitQueue* waiters_ = nullptr;
};

class Suite {
 public:
  Suite(Runtime& node, IndexFactory& instances, std::uint64_t first_seed, Report& results)
      : runtime(node), factory(instances), seed(first_seed), report(results), ended_(node) {}

  // Makes and starts an instance; `fresh` empties the storage first. False, and reported, when that failed.
  Task<bool> open(bool fresh);
  Task<> close();
  // Ends the instance as a power cut does.
  void kill();
  bool is_open() const noexcept { return store_ != nullptr; }
  IndexStore& store() { return *store_; }

  void submit(Call& call, Durability durability);
  Task<> wait(Call& call);
  Task<> commit(Call& call, Durability durability = Durability::durable);
  // Commits one batch and checks that it was applied.
  Task<> put(std::string key, std::string value);

  // Whether a snapshot of the store holds exactly what the model holds, in its order, and the space report counts it.
  bool same(const ModelIndex& model, std::string_view what);
  bool same(Snapshot& snapshot, const ModelIndex& model, std::string_view what);

  Runtime& runtime;
  IndexFactory& factory;
  const std::uint64_t seed;
  Report& report;

 private:
  IndexStore* store_ = nullptr;
  WaitQueue ended_;
};

// The parts, each a file.
Task<> check_commits(Suite& suite);
Task<> check_limits(Suite& suite);
Task<> check_snapshots(Suite& suite);
Task<> check_queue(Suite& suite);
Task<> check_life(Suite& suite);
Task<> check_full(Suite& suite);
Task<> check_random(Suite& suite);

std::string numbered(std::string_view prefix, std::uint64_t number);

}  // namespace rideau::index_suite
