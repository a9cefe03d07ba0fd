// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/advisory_locks.hpp"

#include "framework/rpc/server.hpp"
#include "plugins/fs/codec.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::mds {
namespace {

// What comes from outside must be a family, a range and a mode.
template <class Request>
bool makes_sense(const Request& request) {
  const bool family = request.family == static_cast<std::uint32_t>(lock::RangeFamily::records) ||
                      request.family == static_cast<std::uint32_t>(lock::RangeFamily::whole);
  return family && request.mode <= static_cast<std::uint32_t>(lock::Mode::exclusive) && request.first <= request.last &&
         request.last <= lock::kRangeLast;
}

}  // namespace

AdvisoryLocks::AdvisoryLocks(Runtime& runtime, SessionTable& sessions, TaskGroup& tasks, Evict evict)
    : runtime_(runtime),
      sessions_(sessions),
      tasks_(tasks),
      evict_(std::move(evict)),
      table_(*this, {limits::kAdvisoryLocksPerSession, limits::kAdvisoryWaitsPerSession}) {}

Result<fs::SetAdvisoryLockReply> AdvisoryLocks::set(std::uint64_t session, const fs::SetAdvisoryLockRequest& request) {
  using Outcome = lock::RangeLocks::Outcome;
  if (!makes_sense(request)) return posix_error(EINVAL);
  lock::RangeRequest wanted;
  wanted.resource = {request.inode, static_cast<lock::RangeFamily>(request.family)};
  wanted.owner = {session, request.owner};
  wanted.range = {request.first, request.last};
  wanted.mode = static_cast<lock::Mode>(request.mode);
  wanted.wait = request.wait;
  wanted.ticket = request.ticket;
  wanted.process = request.process;
  switch (table_.set(wanted)) {
    case Outcome::granted:
      return fs::SetAdvisoryLockReply{false};
    case Outcome::waits:
      return fs::SetAdvisoryLockReply{true};
    case Outcome::conflicts:
      if (const auto conflict = table_.test(wanted.resource, wanted.owner, wanted.range, wanted.mode)) {
        refused_for_.insert(conflict->owner.session);
      }
      return posix_error(EAGAIN);
    case Outcome::closes_circle:
      return posix_error(EDEADLK);
    case Outcome::too_many:
      return posix_error(ENOLCK);
    case Outcome::ticket_in_use:
      break;
  }
  return posix_error(EINVAL);
}

Result<fs::TestAdvisoryLockReply> AdvisoryLocks::test(std::uint64_t session,
                                                      const fs::TestAdvisoryLockRequest& request) {
  if (!makes_sense(request)) return posix_error(EINVAL);
  const lock::RangeResource resource{request.inode, static_cast<lock::RangeFamily>(request.family)};
  const auto conflict = table_.test(resource, {session, request.owner}, {request.first, request.last},
                                    static_cast<lock::Mode>(request.mode));
  fs::TestAdvisoryLockReply reply;
  if (!conflict) return reply;
  reply.mode = static_cast<std::uint32_t>(conflict->held.mode);
  reply.first = conflict->held.range.first;
  reply.last = conflict->held.range.last;
  // The number of a process means something on its own machine only.
  reply.process = conflict->owner.session == session ? conflict->process : 0;
  return reply;
}

Result<fs::CancelAdvisoryLockReply> AdvisoryLocks::cancel(std::uint64_t session,
                                                          const fs::CancelAdvisoryLockRequest& request) {
  return fs::CancelAdvisoryLockReply{table_.cancel(session, request.ticket)};
}

bool AdvisoryLocks::in_the_way(std::uint64_t session) const {
  return refused_for_.contains(session) || table_.waited_for(session);
}

void AdvisoryLocks::drop(std::uint64_t session) {
  refused_for_.erase(session);
  table_.drop(session);
  const auto telling = to_tell_.find(session);
  if (telling != to_tell_.end()) telling->second.clear();
}

void AdvisoryLocks::granted(lock::HolderId session, std::uint64_t ticket) {
  const auto [telling, begins] = to_tell_.try_emplace(session);
  telling->second.push_back(ticket);
  if (begins) tasks_.spawn(tell(session));
}

// One callback at a time to each client, with all that was granted meanwhile.
Task<> AdvisoryLocks::tell(std::uint64_t id) {
  co_await yield_now(runtime_);
  while (true) {
    const auto telling = to_tell_.find(id);
    std::vector<std::uint64_t>& tickets = telling->second;
    const Session* session = sessions_.find(id);
    if (tickets.empty() || session == nullptr || session->link == nullptr) {
      to_tell_.erase(telling);
      co_return;
    }
    fs::AdvisoryLocksGrantedRequest request;
    const std::size_t count = std::min<std::size_t>(tickets.size(), limits::kAdvisoryGrantsMax);
    const auto end = tickets.begin() + static_cast<std::ptrdiff_t>(count);
    request.tickets.assign(tickets.begin(), end);
    tickets.erase(tickets.begin(), end);
    wire::Encoded body;
    encode(request, body);
    const rpc::Reply heard = co_await session->link->call_back(
        static_cast<std::uint16_t>(fs::MetaCallback::advisory_locks_granted), body.bytes(), 0);
    if (heard.ok()) continue;
    to_tell_.erase(id);
    if (heard.status.code != Code::closed) evict_(id, "no answer to the grant of an advisory lock");
    co_return;
  }
}

}  // namespace rideau::mds
