// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/evictions.hpp"

#include <cinttypes>
#include <cstdio>
#include <ctime>

namespace rideau::mds {

namespace {

constexpr std::size_t kRecordsMax = 16;

std::string time_text(std::int64_t wall_ns) {
  const std::time_t seconds = wall_ns / static_cast<std::int64_t>(kSecond);
  std::tm parts{};
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&seconds, &parts));
  return std::string(text, size);
}

template <class Number>
std::string seconds_text(Number ns) {
  char text[40];
  std::snprintf(text, sizeof text, "%.3f s", static_cast<double>(ns) / static_cast<double>(kSecond));
  return text;
}

}  // namespace

void Evictions::asked(lock::HolderId holder, lock::ResourceId resource, lock::Mode wanted, std::string waiter) {
  open_[holder] = {resource, wanted, std::move(waiter), runtime_.now_ns()};
}

const std::string& Evictions::add(const rpc::ServerSession& session, const std::string& reason) {
  std::string record = time_text(runtime_.wall_ns()) + " client " + to_text(session.client()) + " (" +
                       session.client_name() + "), session " + std::to_string(session.id()) + ": " + reason;
  if (const auto asked = open_.find(session.id()); asked != open_.end()) {
    const Asked& lock = asked->second;
    record += "; lock " + std::to_string(lock.resource) + " was asked back " +
              seconds_text(runtime_.now_ns() - lock.since_ns) + " before, " +
              (lock.wanted == lock::Mode::exclusive ? "exclusive" : "shared") +
              (lock.waiter.empty() ? "" : " for " + lock.waiter);
    open_.erase(asked);
  }
  record += "; its last message came " + seconds_text(session.silent_ns()) + " before; its clock was " +
            seconds_text(session.clock_ahead_ns()) + " ahead of the server's";
  records_.push_back(std::move(record));
  if (records_.size() > kRecordsMax) records_.pop_front();
  return records_.back();
}

}  // namespace rideau::mds
