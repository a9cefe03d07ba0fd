// SPDX-License-Identifier: Apache-2.0
// What happens between a restart and the first new call: sessions of before are known from the index, their clients
// claim what they held and make lost changes again, those who do not come are given up, orphans go.
#include "framework/base/limits.hpp"
#include "framework/base/sim_hooks.hpp"
#include "framework/observe/log.hpp"
#include "plugins/fs/codec.hpp"
#include "plugins/mds/grants.hpp"
#include "plugins/mds/mds.hpp"

#include <cerrno>
#include <cinttypes>

namespace rideau::mds {

using namespace fs;

// Sessions with the last change of each of their slots that is durable. Slots of sessions that have ended are erased.
Task<Status> Mds::load_sessions() {
  std::map<std::uint64_t, rpc::RestoredSession> found;
  std::vector<std::string> orphans;
  Snapshot* snapshot = target_.committer.snapshot();
  if (snapshot == nullptr) co_return Status{Code::io_error, EIO, "read the index"};
  Bytes key;
  Bytes value;
  const Key sessions_from(KeyKind::session);
  Status status = snapshot->seek(sessions_from, &key, &value);
  for (; status.ok() && is_kind(key, KeyKind::session); status = snapshot->next(&key, &value)) {
    SessionRecord record;
    rpc::RestoredSession session;
    const bool read = parse_id_key(KeyKind::session, key, &session.id) && decode(key, value, &record).ok();
    if (!read) {
      target_.log.error("metadata target %" PRIu32
                        ": the record of a client's session is damaged: that client starts anew",
                        target_.options.target);
      orphans.emplace_back(key.view());
      continue;
    }
    session.client = record.client;
    session.client_name = record.client_name;
    const std::uint64_t id = session.id;
    found[id] = std::move(session);
  }
  const Key slots_from(KeyKind::slot);
  status = snapshot->seek(slots_from, &key, &value);
  for (; status.ok() && is_kind(key, KeyKind::slot); status = snapshot->next(&key, &value)) {
    SlotRecord record;
    std::uint64_t id = 0;
    std::uint32_t slot = 0;
    const bool read = parse_slot_key(key, &id, &slot) && decode(key, value, &record).ok();
    const auto session = found.find(id);
    if (!read || session == found.end()) {
      orphans.emplace_back(key.view());
      continue;
    }
    rpc::RestoredSlot restored;
    restored.slot = slot;
    restored.sequence = record.sequence;
    restored.transaction = record.transaction;
    restored.status =
        record.body_kept ? record.status : Status{Code::io_error, EIO, "the answer was too large to be kept"};
    restored.body.assign(record.body.data, record.body.data + record.body.size);
    session->second.slots.push_back(std::move(restored));
    if (record.opened_handle == 0) continue;
    restored_opens_[id][record.opened_handle] = OpenHandle{record.opened_inode, record.opened_flags};
  }
  for (auto& [id, session] : found) restored_.push_back(std::move(session));
  constexpr std::size_t kKeysPerPortion = 64;
  for (std::size_t at = 0; at < orphans.size();) {
    const Status admitted = co_await target_.committer.admit(Need::steady);
    if (!admitted.ok()) co_return admitted;
    target_.committer.begin_transaction();
    for (const std::size_t end = std::min(at + kKeysPerPortion, orphans.size()); at < end; ++at) {
      target_.committer.erase(Bytes(std::string_view(orphans[at])));
    }
  }
  co_return kOk;
}

std::vector<rpc::RestoredSession> Mds::restored_sessions() { return std::exchange(restored_, {}); }

void Mds::begin_recovery() {
  std::vector<std::uint64_t> ids;
  for (const rpc::RestoredSession& session : restored_) {
    ids.push_back(session.id);
    std::vector<bool>& slots = restored_slots_[session.id];
    slots.resize(limits::kSlotsPerSession);
    for (const rpc::RestoredSlot& slot : session.slots) {
      if (slot.slot < slots.size()) slots[slot.slot] = true;
    }
  }
  RIDEAU_MARK(recovery_began);
  target_.recovering = true;
  recovery_.begin(ids);
  target_.log.info("metadata target %" PRIu32 ": waiting for %zu clients to claim what they held, for %" PRIu32
                   " ms at most where one does not come",
                   target_.options.target, ids.size(), target_.options.recovery_ms);
  tasks_.spawn(recover());
}

Task<> Mds::recover() {
  while (recovery_.awaited() != 0 && !recovery_.stopped()) {
    for (const std::uint64_t id : recovery_.late(target_.sessions)) {
      RIDEAU_MARK(client_given_up);
      if (target_.sessions.find(id) != nullptr) {
        evict(id, "it has not come back after the restart of the target");
      } else {
        auto nobody = std::make_unique<Session>();
        nobody->id = id;
        nobody->record_transaction = target_.committer.first();
        nobody->slots_kept = restored_slots_[id];
        tasks_.spawn(end_session(std::move(nobody)));
        recovery_.settled(id, false);
      }
    }
    if (recovery_.awaited() != 0) co_await recovery_.wait();
  }
  if (!recovery_.stopped()) {
    // What was made again is as durable as it was said to be; what nobody claimed goes.
    Status status = co_await target_.committer.wait_durable(target_.committer.last());
    if (!status.ok()) {
      // Nobody is told that it is over: clients keep what they made again, for the next start.
      RIDEAU_MARK(recovery_failed);
      target_.log.error("metadata target %" PRIu32
                        ": what its clients made again cannot be made durable; they wait until it is started again",
                        target_.options.target);
      co_return;
    }
    target_.recovering = false;
    if (status.ok()) status = co_await purge_open_unlinked();
    if (status.ok()) tasks_.spawn(orphan_sweep_.run(sweep_end_));
    if (status.ok()) tasks_.spawn(mover_.run());
    target_.log.info("metadata target %" PRIu32 ": serving again after %" PRIu64
                     " ms: %zu clients came back, %zu did not",
                     target_.options.target, recovery_.elapsed_ms(), recovery_.came(), recovery_.given_up());
  }
  restored_slots_.clear();
  restored_opens_.clear();
  RIDEAU_MARK(recovery_ended);
  recovery_.end();
}

Task<> Mds::reclaim(rpc::ServerCall& call) {
  ReclaimRequest request;
  if (!decode(call.body(), &request).ok()) co_return co_await refuse_malformed(call);
  auto& session = *static_cast<Session*>(call.session().owner_slot);
  wire::Encoded body;
  if (!session.restored) {
    constexpr Status refused{Code::posix, EINVAL, "nothing to claim under a new session"};
    co_return co_await call.reply(refused, Bytes());
  }
  for (const ReclaimedOpen& open : request.opens) {
    if (open.handle == 0 || session.find(open.handle) != nullptr) continue;
    if (session.handles.size() >= limits::kOpenFilesPerSession) break;
    OpenHandle claimed{open.inode, open.flags};
    if (open.inode == kNoInode) {
      // The client has had no answer: if the call was carried out, it will be told of it when it sends it again.
      const auto& opened = restored_opens_[session.id];
      const auto found = opened.find(open.handle);
      if (found == opened.end()) continue;
      claimed = found->second;
    }
    RIDEAU_MARK(open_claimed);
    session.handles.emplace(open.handle, claimed);
    target_.opens.add(claimed.inode, claimed.flags);
    if (open.nameless) target_.nameless.insert(claimed.inode);
  }
  ReclaimReply reply;
  for (const ReclaimedLock& wanted : request.locks) {
    const lock::Mode mode =
        wanted.mode == static_cast<std::uint32_t>(lock::Mode::exclusive) ? lock::Mode::exclusive : lock::Mode::shared;
    // A second time, after a link was lost, others may be waiting for it already.
    const lock::Grant granted =
        recovery_.is_open() ? locks_.try_grant(session.id, wanted.inode, mode) : locks_.held(session.id, wanted.inode);
    if (granted.mode != lock::Mode::none) RIDEAU_MARK(lock_claimed);
    reply.locks.push_back(claim_parts(session.id, wanted, granted));
  }
  for (SetAdvisoryLockRequest& lock : request.advisory) {
    lock.wait = false;
    const auto set = advisory_locks_.set(session.id, lock);
    if (!set.ok()) {
      target_.log.warning("a lock of inode %" PRIu64 " that client %s claimed is not free", lock.inode,
                          call.session().client_name().c_str());
    }
  }
  if (request.done) {
    recovery_.settled(session.id, true);
    const bool over = RIDEAU_PLANTED_BUG(serves_during_recovery) || co_await recovery_.until_over(session);
    if (!over) {
      constexpr Status ended{Code::closed, 0, "the session ended"};
      co_return co_await call.reply(ended, Bytes());
    }
  }
  reply.extents = divided_.extents().last_number();
  encode(reply, body);
  co_await call.reply(kOk, body.bytes());
}

// Of a file that was locked in parts: which parts. What is held by then; nothing, unless all of it is.
LockWord Mds::claim_parts(std::uint64_t session, const ReclaimedLock& wanted, lock::Grant granted) {
  if (wanted.mode != kDividedMode || granted.mode == lock::Mode::none) return lock_word(granted);
  if (!recovery_.is_open()) return divided_.word(wanted.inode, granted);
  divided_.claim(wanted.inode);
  for (const ReclaimedExtent& part : wanted.extents) {
    const bool exclusive = part.mode == static_cast<std::uint32_t>(lock::Mode::exclusive);
    const lock::Mode mode = exclusive ? lock::Mode::exclusive : lock::Mode::shared;
    if (divided_.extents().put(session, wanted.inode, {part.begin, part.end}, mode)) {
      RIDEAU_MARK(extent_claimed);
      continue;
    }
    divided_.release(session, wanted.inode, granted.number);
    return 0;
  }
  return divided_.word(wanted.inode, granted);
}

// A client is known from its first call on that anything can rest on.
Task<Status> Mds::record_session(rpc::ServerCall& call, Session& session) {
  if (session.record_transaction == 0) {
    const Status admitted = co_await target_.committer.admit(Need::steady);
    if (!admitted.ok()) co_return admitted;
    if (session.record_transaction == 0) {
      session.record_transaction = target_.committer.begin_transaction();
      const std::string_view name = std::string_view(call.session().client_name()).substr(0, limits::kPathBytesMax);
      target_.names.put_record(session_key(session.id),
                               SessionRecord{call.session().client(), name, target_.runtime.wall_ns()});
    }
  }
  const Status durable = co_await target_.committer.wait_durable(session.record_transaction);
  co_return durable;
}

}  // namespace rideau::mds
