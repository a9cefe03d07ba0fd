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

const std::string& Evictions::add(const rpc::ServerSession& session, const std::string& reason, const Asked* asked) {
  std::string record = time_text(runtime_.wall_ns()) + " client " + to_text(session.client()) + " (" +
                       session.client_name() + "), session " + std::to_string(session.id()) + ": " + reason;
  if (asked != nullptr) {
    record += "; the lock of inode " + std::to_string(asked->resource) + " was asked back " +
              seconds_text(runtime_.now_ns() - asked->since_ns) + " before, " +
              (asked->wanted == lock::Mode::exclusive ? "exclusive" : "shared") +
              (asked->waiter.empty() ? "" : " for " + asked->waiter);
  }
  record += "; its last message came " + seconds_text(session.silent_ns()) + " before; its clock was " +
            seconds_text(session.clock_ahead_ns()) + " ahead of the server's";
  records_.push_back(std::move(record));
  if (records_.size() > kRecordsMax) records_.pop_front();
  return records_.back();
}

}  // namespace rideau::mds
