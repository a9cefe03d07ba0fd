// SPDX-License-Identifier: Apache-2.0
// Calls, and the store under test, for the rules of the object suite.
#include "sdk/testkit/object_suite_tools.hpp"

#include "sdk/testkit/store_life.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace rideau::object_suite {

std::vector<IoVec> cut_buffer(std::string& buffer, std::size_t piece) {
  std::vector<IoVec> parts;
  if (piece == 0) piece = std::max<std::size_t>(buffer.size(), 1);
  for (std::size_t at = 0; at < buffer.size(); at += piece) {
    parts.push_back({buffer.data() + at, std::min(piece, buffer.size() - at)});
  }
  return parts;
}

std::string object_name(ObjectId id) {
  char text[40];
  std::snprintf(text, sizeof text, "object %" PRIx64 ":%" PRIx64, id.high, id.low);
  return text;
}

Call::Call() {
  resume = [](Completion* done) noexcept {
    auto* self = static_cast<Call*>(done);
    ++self->completions_;
    self->waiters_->wake_all();
  };
}

Completion& Call::fresh() noexcept {
  Completion::status = {Code::invalid, 0, "the store set no status"};
  Completion::value = UINT64_MAX;
  return *this;
}

void Call::submitted(Submitted how) noexcept {
  if (how == Submitted::finished) ++completions_;
}

void Call::read(ObjectStore& store, ObjectId id, std::uint64_t offset, std::size_t size, std::size_t piece) {
  buffer_.assign(size, '\xaa');
  parts_ = cut_buffer(buffer_, piece);
  submitted(store.read(id, offset, parts_.data(), static_cast<std::uint32_t>(parts_.size()), fresh()));
}

void Call::write(ObjectStore& store, ObjectId id, std::uint64_t offset, std::string bytes, std::size_t piece) {
  buffer_ = std::move(bytes);
  parts_ = cut_buffer(buffer_, piece);
  submitted(store.write(id, offset, parts_.data(), static_cast<std::uint32_t>(parts_.size()), fresh()));
}

void Call::transfer(ObjectStore& store, bool writes, ObjectId id, std::uint64_t offset, std::vector<IoVec> parts) {
  parts_ = std::move(parts);
  const auto count = static_cast<std::uint32_t>(parts_.size());
  Completion& done = fresh();
  if (writes) {
    submitted(store.write(id, offset, parts_.data(), count, done));
  } else {
    submitted(store.read(id, offset, parts_.data(), count, done));
  }
}

void Call::truncate(ObjectStore& store, ObjectId id, std::uint64_t size) {
  submitted(store.truncate(id, size, fresh()));
}

void Call::punch(ObjectStore& store, ObjectId id, std::uint64_t offset, std::uint64_t size) {
  submitted(store.punch(id, offset, size, fresh()));
}

void Call::allocate(ObjectStore& store, ObjectId id, std::uint64_t offset, std::uint64_t size) {
  submitted(store.allocate(id, offset, size, fresh()));
}

void Call::find_data(ObjectStore& store, ObjectId id, std::uint64_t offset) {
  submitted(store.find_data(id, offset, &extent_, fresh()));
}

void Call::remove(ObjectStore& store, ObjectId id) { submitted(store.remove(id, fresh())); }

void Call::stat(ObjectStore& store, ObjectId id) { submitted(store.stat(id, &stat_, fresh())); }

void Call::list(ObjectStore& store, const ObjectId* after, std::uint32_t capacity) {
  ids_.assign(capacity, ObjectId{});
  if (after != nullptr) after_ = *after;
  submitted(store.list(after != nullptr ? &after_ : nullptr, ids_.data(), capacity, fresh()));
}

void Call::flush(ObjectStore& store, std::vector<ObjectId> ids) {
  ids_ = std::move(ids);
  submitted(store.flush(ids_.data(), static_cast<std::uint32_t>(ids_.size()), fresh()));
}

void Call::lend(ObjectStore& store, ObjectId id, std::uint64_t offset, std::uint64_t size, Purpose purpose) {
  submitted(store.lend(id, offset, size, purpose, &loan_, fresh()));
}

std::vector<ObjectId> Call::ids() const {
  const std::size_t count = std::min<std::uint64_t>(value(), ids_.size());
  return {ids_.begin(), ids_.begin() + static_cast<std::ptrdiff_t>(count)};
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
  for (auto at = calls_.begin(); at != calls_.end();) {
    const auto call = at++;
    if (call->ended()) continue;
    call->abandon(runtime);
    abandoned_.splice(abandoned_.end(), calls_, call);
  }
  calls_.clear();
}

Call& Suite::call() {
  Call& call = calls_.emplace_back();
  call.waiters_ = &ended_;
  return call;
}

void Suite::forget_calls() { calls_.clear(); }

Task<> Suite::wait(Call& call) {
  while (!call.ended()) co_await ended_.wait();
}

Task<> Suite::wait_all() {
  for (Call& call : calls_) co_await wait(call);
}

Task<Status> Suite::write(ObjectId id, std::uint64_t offset, std::string bytes) {
  Call call;
  call.waiters_ = &ended_;
  const std::size_t size = bytes.size();
  call.write(*store_, id, offset, std::move(bytes));
  co_await wait(call);
  if (call.status().ok()) report.equal(call.value(), size, "value of a write");
  co_return call.status();
}

Task<Status> Suite::truncate(ObjectId id, std::uint64_t size) {
  Call call;
  call.waiters_ = &ended_;
  call.truncate(*store_, id, size);
  co_await wait(call);
  co_return call.status();
}

Task<Status> Suite::punch(ObjectId id, std::uint64_t offset, std::uint64_t size) {
  Call call;
  call.waiters_ = &ended_;
  call.punch(*store_, id, offset, size);
  co_await wait(call);
  co_return call.status();
}

Task<Status> Suite::allocate(ObjectId id, std::uint64_t offset, std::uint64_t size) {
  Call call;
  call.waiters_ = &ended_;
  call.allocate(*store_, id, offset, size);
  co_await wait(call);
  co_return call.status();
}

Task<Status> Suite::find_data(ObjectId id, std::uint64_t offset, ObjectExtent* out) {
  Call call;
  call.waiters_ = &ended_;
  call.find_data(*store_, id, offset);
  co_await wait(call);
  *out = call.extent();
  co_return call.status();
}

Task<Status> Suite::remove(ObjectId id) {
  Call call;
  call.waiters_ = &ended_;
  call.remove(*store_, id);
  co_await wait(call);
  co_return call.status();
}

Task<Status> Suite::flush(std::vector<ObjectId> ids) {
  Call call;
  call.waiters_ = &ended_;
  call.flush(*store_, std::move(ids));
  co_await wait(call);
  co_return call.status();
}

Task<Status> Suite::stat(ObjectId id, ObjectStat* out) {
  Call call;
  call.waiters_ = &ended_;
  call.stat(*store_, id);
  co_await wait(call);
  *out = call.found();
  co_return call.status();
}

Task<Status> Suite::read(ObjectId id, std::uint64_t offset, std::size_t size, std::string* out) {
  Call call;
  call.waiters_ = &ended_;
  call.read(*store_, id, offset, size);
  co_await wait(call);
  if (call.status().ok()) {
    report.check(call.value() <= size, "a read reads no more than it was asked for");
    out->assign(call.read_bytes());
  }
  co_return call.status();
}

Task<> Suite::expect(ObjectId id, std::string bytes, std::string_view what) {
  const std::string name = std::string(what) + ": " + object_name(id);
  ObjectStat found;
  const Status stated = co_await stat(id, &found);
  if (!report.ok(stated, "stat, " + name)) co_return;
  report.equal(found.size, bytes.size(), "size, " + name);
  std::string content;
  const std::size_t step = std::max<std::size_t>(1, std::min<std::size_t>(store_->limits().io_bytes_max, 1u << 20));
  for (;;) {  // up to a read of nothing, which must come at the end
    std::string piece;
    const Status done = co_await read(id, content.size(), step, &piece);
    if (!report.ok(done, "read, " + name)) co_return;
    if (piece.empty() || content.size() > bytes.size()) break;
    content += piece;
  }
  const auto differ = std::mismatch(bytes.begin(), bytes.end(), content.begin(), content.end());
  report.check(content == bytes, "bytes, " + name + ", read " + std::to_string(content.size()) + " of " +
                                     std::to_string(bytes.size()) + ", first difference at " +
                                     std::to_string(differ.first - bytes.begin()));
}

Task<> Suite::expect_absent(ObjectId id, std::string_view what) {
  const std::string name = std::string(what) + ": " + object_name(id);
  ObjectStat found;
  const Status stated = co_await stat(id, &found);
  report.equal(stated.code, Code::not_found, "stat, " + name);
  std::string bytes;
  const Status done = co_await read(id, 0, 10, &bytes);
  report.equal(done.code, Code::not_found, "read, " + name);
}

Task<> Suite::expect_all(const ModelObjects& model, std::string_view what) {
  for (const auto& [id, bytes] : model.objects()) co_await expect(id, bytes, what);
  const std::size_t count = model.objects().size();
  Call listing;
  listing.waiters_ = &ended_;
  listing.list(*store_, nullptr, static_cast<std::uint32_t>(count + 10));
  co_await wait(listing);
  report.ok(listing.status(), "list");
  report.check(listing.ids() == model.list(nullptr, count + 10), std::string(what) + ": the listing");
  ObjectSpace space;
  report.ok(store_->space(&space), "space");
  report.check(space.bytes_free <= space.bytes_total, "no more bytes are free than there are");
  report.equal(space.object_count, count, std::string(what) + ": object_count");
}

}  // namespace rideau::object_suite
