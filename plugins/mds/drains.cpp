// SPDX-License-Identifier: Apache-2.0
// What is drained: states of object targets, durable, and what people are told of them.
#include "framework/observe/log.hpp"
#include "plugins/mds/mover.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>

namespace rideau::mds {

using namespace fs;

namespace {

std::string text(Status status) {
  return std::string("the metadata target could not store it: ") +
         (status.where != nullptr ? status.where : code_name(status.code));
}

std::string named(TargetId id) { return "object target " + std::to_string(id); }

}  // namespace

Status Mover::load() {
  Snapshot* snapshot = target_.committer.snapshot();
  if (snapshot == nullptr) return {Code::io_error, EIO, "read the index"};
  Bytes key;
  Bytes value;
  const Key first(KeyKind::drain);
  Status status = snapshot->seek(first, &key, &value);
  for (; status.ok() && is_kind(key, KeyKind::drain); status = snapshot->next(&key, &value)) {
    TargetId id = 0;
    DrainRecord record;
    Status good = parse_drain_key(key, &id) ? kOk : Status{Code::corrupt, 0, "key of a drain"};
    if (good.ok()) good = decode(key, value, &record);
    if (!good.ok()) {
      target_.log.error("index: the record of a drained object target cannot be read (%s)", good.where);
      return good;
    }
    target_.drains[id] = record;
    facts_[id].begun = ++begun_;
    auto& all = target_.options.object_targets;
    const bool listed = std::binary_search(all.begin(), all.end(), id);
    if (record.state == DrainState::removed && listed) {
      target_.log.error("%s was removed from this cluster, and its id is never used again: take it out of the file",
                        named(id).c_str());
      std::erase(all, id);
    } else if (record.state == DrainState::draining && !listed) {
      target_.log.error("%s is not drained yet and not in the file any more: files on it cannot be read",
                        named(id).c_str());
    }
  }
  target_.placement.changed();
  return status.ok() || status.code == Code::not_found ? kOk : status;
}

Task<Status> Mover::put(TargetId id, DrainRecord record) {
  Status status = co_await target_.committer.admit(Need::steady);
  if (!status.ok()) co_return status;
  const std::uint64_t number = target_.committer.begin_transaction();
  require_format(target_, kFormatWithPools);
  target_.drains[id] = record;
  target_.names.put_record(drain_key(id), record);
  target_.placement.changed();
  status = co_await target_.committer.wait_durable(number);
  co_return status;
}

Task<std::string> Mover::begin(TargetId id, std::uint64_t bytes_per_second) {
  const auto& all = target_.options.object_targets;
  if (!std::binary_search(all.begin(), all.end(), id)) co_return named(id) + " is none of this cluster";
  const auto known = target_.drains.find(id);
  const bool goes_on = known != target_.drains.end() && known->second.state == DrainState::draining;
  const auto takes_files = [&](TargetId other) { return other != id && !target_.drains.contains(other); };
  if (std::none_of(all.begin(), all.end(), takes_files)) {
    co_return "no other object target takes files: add one first, `rideau up --oss N` or a node in the file";
  }
  if (known != target_.drains.end() && known->second.state == DrainState::drained) co_return std::string();
  DrainRecord record;
  if (goes_on) record = known->second;
  record.bytes_per_second = bytes_per_second;
  if (!goes_on) {
    record.begun_ns = target_.runtime.wall_ns();
    facts_[id] = Facts{++begun_, 0, {}};
  }
  const Status status = co_await put(id, record);
  if (!status.ok()) co_return text(status);
  pace_.set_rate(bytes_per_second);
  if (!goes_on) target_.log.info("%s is drained: its files move to others", named(id).c_str());
  wanted_.wake_all();
  co_return std::string();
}

Task<std::string> Mover::cancel(TargetId id) {
  const auto known = target_.drains.find(id);
  if (known == target_.drains.end()) co_return std::string();
  if (known->second.state == DrainState::removed) co_return named(id) + " was removed from the cluster";
  Status status = co_await target_.committer.admit(Need::steady);
  if (!status.ok()) co_return text(status);
  const std::uint64_t number = target_.committer.begin_transaction();
  target_.drains.erase(id);
  target_.names.erase(drain_key(id));
  target_.placement.changed();
  status = co_await target_.committer.wait_durable(number);
  if (!status.ok()) co_return text(status);
  target_.log.info("%s takes files again", named(id).c_str());
  co_return std::string();
}

Task<std::string> Mover::remove(TargetId id) {
  const auto known = target_.drains.find(id);
  if (known == target_.drains.end()) co_return named(id) + " is not drained: `rideau drain` first";
  if (known->second.state == DrainState::draining) co_return named(id) + " is not empty yet";
  if (known->second.state == DrainState::removed) co_return std::string();
  DrainRecord record = known->second;
  record.state = DrainState::removed;
  std::erase(target_.options.object_targets, id);
  const Status status = co_await put(id, record);
  if (!status.ok()) co_return text(status);
  target_.log.info("%s is no target of this cluster any more", named(id).c_str());
  co_return std::string();
}

std::vector<StatFileSystemReply::Drain> Mover::progress() const {
  std::vector<StatFileSystemReply::Drain> all;
  for (const auto& [id, record] : target_.drains) {
    StatFileSystemReply::Drain& one = all.emplace_back();
    one.target = id;
    one.state = record.state;
    one.files_moved = record.files;
    one.bytes_moved = record.bytes;
    const auto facts = facts_.find(id);
    if (record.state != DrainState::draining || facts == facts_.end()) continue;
    one.files_left = facts->second.files_left;
    one.problem = facts->second.problem;
  }
  return all;
}

}  // namespace rideau::mds
