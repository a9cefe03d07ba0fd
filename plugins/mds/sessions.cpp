// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/sessions.hpp"

#include "framework/base/assert.hpp"
#include "plugins/fs/meta_calls.hpp"

#include <algorithm>

namespace rideau::mds {

Session& SessionTable::add(std::uint64_t id, rpc::ServerSession* link) {
  auto& entry = sessions_[id];
  RIDEAU_ASSERT(entry == nullptr);
  entry = std::make_unique<Session>();
  entry->id = id;
  entry->link = link;
  return *entry;
}

Session* SessionTable::find(std::uint64_t id) {
  const auto at = sessions_.find(id);
  return at != sessions_.end() ? at->second.get() : nullptr;
}

std::unique_ptr<Session> SessionTable::remove(std::uint64_t id) {
  const auto at = sessions_.find(id);
  if (at == sessions_.end()) return nullptr;
  std::unique_ptr<Session> session = std::move(at->second);
  sessions_.erase(at);
  last_transaction_of_gone_ = std::max(last_transaction_of_gone_, session->last_transaction);
  return session;
}

void SessionTable::made(std::uint64_t transaction, std::uint64_t session, std::uint64_t durable) {
  while (!made_.empty() && made_.front().transaction <= durable) made_.pop_front();
  made_.push_back({transaction, session});
}

void SessionTable::hold_back(std::uint64_t transaction) {
  // Just made, so it is the last one.
  RIDEAU_ASSERT(!made_.empty() && made_.back().transaction == transaction);
  made_.back().session = 0;
}

bool SessionTable::is_own(std::uint64_t transaction, std::uint64_t session) const {
  const auto before = [](const Made& one, std::uint64_t number) { return one.transaction < number; };
  const auto found = std::lower_bound(made_.begin(), made_.end(), transaction, before);
  return found != made_.end() && found->transaction == transaction && found->session == session;
}

std::uint64_t SessionTable::last_transaction_of_others(std::uint64_t id) const {
  std::uint64_t last = last_transaction_of_gone_;
  for (const auto& [other, session] : sessions_) {
    if (other != id) last = std::max(last, session->last_transaction);
  }
  return last;
}

void OpenFiles::add(fs::InodeId inode, std::uint32_t flags) {
  Counts& counts = files_[inode];
  ++counts.opens;
  if (flags & fs::kOpenWrite) ++counts.writers;
}

void OpenFiles::remove(fs::InodeId inode, std::uint32_t flags) {
  const auto at = files_.find(inode);
  RIDEAU_ASSERT(at != files_.end());
  if (flags & fs::kOpenWrite) --at->second.writers;
  if (--at->second.opens == 0) files_.erase(at);
}

}  // namespace rideau::mds
