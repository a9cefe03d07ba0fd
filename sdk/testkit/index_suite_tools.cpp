// SPDX-License-Identifier: Apache-2.0
#include "sdk/testkit/index_suite_tools.hpp"

#include "sdk/testkit/store_life.hpp"

#include <cstdio>
#include <cstring>

namespace rideau::index_suite {

std::string numbered(std::string_view prefix, std::uint64_t number) {
  char digits[24];
  std::snprintf(digits, sizeof digits, "%08llu", static_cast<unsigned long long>(number));
  return std::string(prefix) + digits;
}

Bytes Batch::keep(std::string_view text) { return Bytes(std::string_view(texts_.emplace_back(text))); }

Batch& Batch::put(std::string_view key, std::string_view value) {
  const Bytes kept_key = keep(key);
  const Bytes kept_value = keep(value);
  edits_.push_back({Edit::Kind::put, kept_key, kept_value});
  return *this;
}

Batch& Batch::put_shared(std::string_view key, const std::string& value) {
  edits_.push_back({Edit::Kind::put, keep(key), Bytes(std::string_view(value))});
  return *this;
}

Batch& Batch::erase(std::string_view key) {
  edits_.push_back({Edit::Kind::erase, keep(key), {}});
  return *this;
}

Batch& Batch::absent(std::string_view key) {
  checks_.push_back({Check::Kind::absent, keep(key), {}});
  return *this;
}

Batch& Batch::present(std::string_view key) {
  checks_.push_back({Check::Kind::present, keep(key), {}});
  return *this;
}

Batch& Batch::equals(std::string_view key, std::string_view value) {
  const Bytes kept_key = keep(key);
  const Bytes kept_value = keep(value);
  checks_.push_back({Check::Kind::equals, kept_key, kept_value});
  return *this;
}

Batch& Batch::frees_space() {
  frees_space_ = true;
  return *this;
}

IndexBatch Batch::view() const {
  IndexBatch view;
  view.checks = checks_.data();
  view.check_count = static_cast<std::uint32_t>(checks_.size());
  view.edits = edits_.data();
  view.edit_count = static_cast<std::uint32_t>(edits_.size());
  view.status = {Code::invalid, 0, "the store set no status"};
  view.sequence = UINT64_MAX;
  view.frees_space = frees_space_;
  return view;
}

Call::Call() {
  resume = [](Completion* done) noexcept {
    auto* self = static_cast<Call*>(done);
    ++self->completions_;
    if (self->waiters_ != nullptr) self->waiters_->wake_all();
  };
}

void Call::submit(IndexStore& store, Durability durability) {
  views_.clear();
  for (const Batch& batch : batches_) views_.push_back(batch.view());
  Completion& done = *this;
  const auto count = static_cast<std::uint32_t>(views_.size());
  if (store.commit(views_.data(), count, durability, done) == Submitted::finished) ++completions_;
}

void Call::apply_to(ModelIndex& model) const {
  if (!status().ok()) return;
  for (std::size_t i = 0; i < size(); ++i) {
    if (views_[i].status.ok()) model.apply(given(i));
  }
}

Task<bool> Suite::open(bool fresh) {
  store_ = co_await open_store(factory, report, fresh);
  co_return store_ != nullptr;
}

Task<> Suite::close() {
  if (store_ == nullptr) co_return;
  co_await stop_store(*store_, report);
  kill();
}

void Suite::kill() {
  if (store_ != nullptr) store_->destroy();
  store_ = nullptr;
}

void Suite::submit(Call& call, Durability durability) {
  call.waiters_ = &ended_;
  call.submit(*store_, durability);
}

Task<> Suite::wait(Call& call) {
  while (!call.ended()) co_await ended_.wait();
}

Task<> Suite::commit(Call& call, Durability durability) {
  submit(call, durability);
  co_await wait(call);
}

Task<> Suite::put(std::string key, std::string value) {
  Call call;
  call.batch().put(key, value);
  co_await commit(call);
  report.ok(call.status(), "commit of one put");
  report.ok(call.result(0).status, "batch of one put");
}

bool Suite::same(const ModelIndex& model, std::string_view what) {
  Snapshot* snapshot = nullptr;
  if (!report.ok(store_->snapshot(&snapshot), "snapshot")) return false;
  bool held = same(*snapshot, model, what);
  snapshot->release();
  IndexSpace space;
  held = report.ok(store_->space(&space), "space") && held;
  return report.equal(space.entry_count, model.entries().size(), "entry_count") && held;
}

bool Suite::same(Snapshot& snapshot, const ModelIndex& model, std::string_view what) {
  Bytes key;
  Bytes value;
  std::size_t place = 0;
  Status status = snapshot.seek(Bytes(), &key, &value);
  for (const auto& [model_key, model_value] : model.entries()) {
    const std::string at = std::string(what) + ": entry " + std::to_string(place++);
    if (!report.ok(status, at)) return false;
    if (!report.check(key.view() == model_key, at + " has the right key")) return false;
    if (!report.check(value.view() == model_value, at + " has the right value")) return false;
    status = snapshot.next(&key, &value);
  }
  return report.equal(status.code, Code::not_found, std::string(what) + ": nothing after the last entry");
}

}  // namespace rideau::index_suite
