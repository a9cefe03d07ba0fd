// SPDX-License-Identifier: Apache-2.0
#include "plugins/check/stores.hpp"

#include "framework/runtime/await.hpp"

namespace rideau::check {

namespace {
constexpr std::size_t kRecordsPerPage = 1000;
constexpr std::uint32_t kObjectsPerPage = 1000;

Bytes bytes_of(const std::string& text) { return Bytes(std::string_view(text)); }
}  // namespace

IndexSource::~IndexSource() { release(); }

void IndexSource::release() {
  if (snapshot_ != nullptr) snapshot_->release();
  snapshot_ = nullptr;
}

Task<Status> IndexSource::begin() {
  release();
  co_return store_.snapshot(&snapshot_);
}

Task<Result<MetaSource::Records>> IndexSource::next(const std::string& after) {
  Records records;
  Bytes key;
  Bytes value;
  Status status = snapshot_->seek(bytes_of(after), &key, &value);
  if (status.ok() && !after.empty() && key.view() == after) status = snapshot_->next(&key, &value);
  for (; status.ok(); status = snapshot_->next(&key, &value)) {
    records.emplace_back(key.view(), value.view());
    if (records.size() == kRecordsPerPage) co_return records;
  }
  if (status.code != Code::not_found) co_return status;
  co_return records;
}

Task<Result<MetaSource::Values>> IndexSource::get(const std::vector<std::string>& keys) {
  Values values;
  for (const std::string& key : keys) {
    Bytes value;
    const Status status = snapshot_->get(bytes_of(key), &value);
    if (!status.ok() && status.code != Code::not_found) co_return status;
    values.emplace_back();
    if (status.ok()) values.back().emplace(value.view());
  }
  co_return values;
}

Task<Status> IndexSource::change(const Edits& edits) {
  std::vector<Edit> list;
  for (const auto& [key, value] : edits) {
    Edit edit;
    edit.kind = value ? Edit::Kind::put : Edit::Kind::erase;
    edit.key = bytes_of(key);
    if (value) edit.value = bytes_of(*value);
    list.push_back(edit);
  }
  IndexBatch batch;
  batch.edits = list.data();
  batch.edit_count = static_cast<std::uint32_t>(list.size());
  const Outcome done = co_await submit(
      [&](Completion& completion) { return store_.commit(&batch, 1, Durability::durable, completion); });
  co_return done.ok() ? batch.status : done.status;
}

Task<Result<std::vector<ObjectId>>> StoreObjects::next(std::optional<ObjectId> after) {
  std::vector<ObjectId> found(kObjectsPerPage);
  const Outcome done = co_await submit([&](Completion& completion) {
    return store_.list(after ? &*after : nullptr, found.data(), kObjectsPerPage, completion);
  });
  if (!done.ok()) co_return done.status;
  found.resize(done.value);
  co_return found;
}

Task<Status> StoreObjects::destroy(const std::vector<ObjectId>& objects) {
  for (const ObjectId& object : objects) {
    const Outcome removed = co_await submit([&](Completion& completion) { return store_.remove(object, completion); });
    if (!removed.ok()) co_return removed.status;
  }
  const Outcome flushed = co_await submit([&](Completion& completion) { return store_.flush(nullptr, 0, completion); });
  co_return flushed.status;
}

}  // namespace rideau::check
