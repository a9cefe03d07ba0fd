// SPDX-License-Identifier: Apache-2.0
#include "plugins/check/servers.hpp"

#include "plugins/check/ask.hpp"

namespace rideau::check {

using namespace fs;

namespace {

constexpr Status kReadOnly{Code::unsupported, 0, "mend what running servers hold"};

}  // namespace

// Everything that was applied so far becomes durable, and so part of what is read.
Task<Status> ServerRecords::begin() {
  wire::Encoded body;
  encode(SyncRequest{}, body);
  rpc::Request call;
  call.method = static_cast<std::uint16_t>(MetaMethod::sync);
  call.body = body.bytes();
  const rpc::Reply reply = co_await session_.call(call);
  if (!reply.ok()) co_return reply.status;
  const GetRecordsRequest nothing;
  GetRecordsReply now;
  const Status asked = co_await ask(session_, MetaMethod::get_records, nothing, &now);
  if (asked.ok()) transaction_ = now.transaction;
  co_return asked;
}

Task<Result<MetaSource::Records>> ServerRecords::next(const std::string& after) {
  ScanRecordsRequest request;
  std::string from = after;
  if (!from.empty()) from += '\0';  // the least key behind it
  request.from = from;
  request.count = page_records_;
  ScanRecordsReply page;
  const Status asked = co_await ask(session_, MetaMethod::scan_records, request, &page);
  if (!asked.ok()) co_return asked;
  transaction_ = page.transaction;
  co_return std::move(page.records);
}

Task<Result<MetaSource::Values>> ServerRecords::get(const std::vector<std::string>& keys) {
  GetRecordsRequest request;
  for (const std::string& key : keys) request.keys.emplace_back(key);
  GetRecordsReply found;
  const Status asked = co_await ask(session_, MetaMethod::get_records, request, &found);
  if (!asked.ok()) co_return asked;
  if (found.values.size() != keys.size())
    co_return Status{Code::invalid, 0, "another number of records than asked for"};
  transaction_ = found.transaction;
  co_return std::move(found.values);
}

Task<Status> ServerRecords::change(const Edits&) { co_return kReadOnly; }

Task<Result<std::vector<ObjectId>>> ServerObjects::next(std::optional<ObjectId> after) {
  ObjectListRequest request;
  if (after) request.after = *after;
  ObjectListReply page;
  const Status asked = co_await ask(session_, ObjectMethod::list, request, &page);
  if (!asked.ok()) co_return asked;
  co_return std::move(page.objects);
}

Task<Status> ServerObjects::destroy(const std::vector<ObjectId>&) { co_return kReadOnly; }

}  // namespace rideau::check
