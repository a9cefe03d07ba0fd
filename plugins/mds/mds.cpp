// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/mds.hpp"

#include "framework/base/limits.hpp"
#include "framework/base/sim_hooks.hpp"
#include "framework/observe/log.hpp"
#include "framework/runtime/byte_sink.hpp"
#include "plugins/fs/codec.hpp"
#include "plugins/fs/layout_text.hpp"
#include "plugins/mds/backup.hpp"
#include "plugins/mds/grants.hpp"
#include "plugins/mds/inline_files.hpp"
#include "plugins/mds/lost_changes.hpp"
#include "plugins/mds/ops/ops.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <type_traits>
#include <utility>

namespace rideau::mds {

using namespace fs;

namespace {

constexpr Status kStopped{Code::io_error, EIO, "target stopped after a failed commit"};

// What an operation answered, as status and body.
template <class Reply>
Status to_body(const Result<Reply>& result, wire::Encoded& body) {
  if (!result.ok()) return result.status();
  encode(result.value(), body);
  return kOk;
}
Status to_body(Status status, wire::Encoded&) { return status; }

template <class Reply>
Status status_of(const Result<Reply>& result) {
  return result.status();
}
Status status_of(Status status) { return status; }

// One operation on this session, whatever it needs of it.
template <class Request>
auto apply_change(Target& target, Transaction& transaction, const Request& request, Session& session) {
  if constexpr (requires { apply(target, transaction, request, session); }) {
    return apply(target, transaction, request, session);
  } else {
    return apply(target, transaction, request);
  }
}

}  // namespace

Mds::Mds(Runtime& runtime, Logger& log, IndexStore& index, Options options, ObjectTargets& object_targets)
    : target_(runtime, log, index, std::move(options)),
      index_(index),
      destroyer_(target_, object_targets),
      orphan_sweep_(target_, object_targets),
      space_watch_(target_, object_targets),
      fencing_(target_, object_targets),
      evictions_(runtime),
      recovery_(runtime, target_.options.recovery_ms),
      advisory_locks_(runtime, target_.sessions, tasks_,
                      [this](std::uint64_t session, const std::string& reason) { evict(session, reason); }),
      rest_(runtime),
      lock_callbacks_(runtime, target_.sessions, tasks_, rest_,
                      [this](std::uint64_t session, const std::string& reason) { evict(session, reason); }),
      glimpses_(runtime, target_.sessions, tasks_,
                [this](std::uint64_t session, const std::string& reason) { evict(session, reason); }),
      locks_(runtime, lock_callbacks_),
      divided_(runtime, locks_, lock_callbacks_),
      lock_budget_(runtime, divided_, target_.sessions, lock_callbacks_, target_.options.locks_max),
      mover_(target_, object_targets, divided_),
      tasks_(runtime) {
  lock_callbacks_.set_locks(locks_, divided_.extents());
  locks_.set_limit(target_.options.locks_max);
}

Mds::~Mds() = default;

void Mds::add_object_target(TargetId target) {
  auto& all = target_.options.object_targets;
  all.insert(std::upper_bound(all.begin(), all.end(), target), target);
  target_.placement.changed();
  target_.log.info("object target %" PRIu32 " is new in the cluster", target);
}

void Mds::set_pools(std::map<std::string, std::vector<TargetId>> pools) {
  target_.options.pools = std::move(pools);
  target_.placement.changed();
}

std::uint64_t Mds::durable() const noexcept {
  if (RIDEAU_PLANTED_BUG(tells_durable_too_early)) return target_.committer.last();
  return recovery_.is_open() ? 0 : target_.committer.durable();
}

Task<> Mds::stop() {
  rest_.stop();
  recovery_.stop();
  destroyer_.stop();
  orphan_sweep_.stop();
  space_watch_.stop();
  mover_.stop();
  co_await fencing_.stop();
  co_await tasks_.join();
  co_await target_.committer.stop();
  started_ = false;
}

Task<Status> Mds::backup(ByteSink& to) {
  if (!started_) co_return Status{Code::closed, 0, "the target does not serve"};
  const Status durable = co_await target_.committer.wait_durable(target_.committer.last());
  if (!durable.ok()) co_return durable;
  BackupHead head;
  head.cluster = target_.options.cluster;
  head.target = target_.options.target;
  head.made_ns = target_.runtime.wall_ns();
  const Status written = co_await write_backup(index_, head, to);
  co_return written;
}

std::uint64_t Mds::next_session_id() {
  // The boot epoch is durable before anyone can ask, so no number comes again.
  return target_.superblock.boot_epoch << 32 | ++sessions_made_;
}

Task<> Mds::handle(rpc::ServerCall& call) {
  if (!started_ || !target_.committer.failure().ok()) {
    co_await call.reply(kStopped, Bytes());
    co_return;
  }
  const auto method = static_cast<MetaMethod>(call.method());
  if (method == MetaMethod::reclaim) co_return co_await reclaim(call);
  if (method == MetaMethod::stat_file_system) co_return co_await stat_file_system(call);
  auto& session = *static_cast<Session*>(call.session().owner_slot);
  if (recovery_.is_open() && !call.replays() && !RIDEAU_PLANTED_BUG(serves_during_recovery)) {
    RIDEAU_MARK(call_waited_for_recovery);
    const bool over = co_await recovery_.until_over(session);
    if (!over) {
      constexpr Status ended{Code::closed, 0, "the session ended"};
      co_return co_await call.reply(ended, Bytes());
    }
  }
  // Who only looks at records has nothing to come back for.
  const bool passes = method == MetaMethod::scan_records || method == MetaMethod::get_records;
  if (!passes && (session.record_transaction == 0 || session.record_transaction > target_.committer.durable())) {
    const Status recorded = co_await record_session(call, session);
    if (!recorded.ok()) co_return co_await call.reply(recorded, Bytes());
  }
  co_await dispatch(call);
}

Task<> Mds::dispatch(rpc::ServerCall& call) {
  switch (static_cast<MetaMethod>(call.method())) {
    case MetaMethod::lookup:
      co_return co_await look<LookupRequest>(call);
    case MetaMethod::get_attributes:
      co_return co_await look<GetAttributesRequest>(call);
    case MetaMethod::set_attributes:
      co_return co_await change<SetAttributesRequest>(call, Need::steady);
    case MetaMethod::make:
      co_return co_await change<MakeRequest>(call, Need::grows);
    case MetaMethod::open:
      co_return co_await change<OpenRequest>(call, Need::steady);
    case MetaMethod::close:
      co_return co_await change<CloseRequest>(call, Need::steady);
    case MetaMethod::read_inline:
      co_return co_await look<ReadInlineRequest>(call);
    case MetaMethod::read_link:
      co_return co_await look<ReadLinkRequest>(call);
    case MetaMethod::link:
      co_return co_await change<LinkRequest>(call, Need::grows);
    case MetaMethod::remove:
      co_return co_await change<RemoveRequest>(call, Need::steady);
    case MetaMethod::rename:
      co_return co_await change<RenameRequest>(call, Need::steady);
    case MetaMethod::read_directory:
      co_return co_await look<ReadDirectoryRequest>(call);
    case MetaMethod::get_attribute:
      co_return co_await look<GetAttributeRequest>(call);
    case MetaMethod::set_attribute:
      co_return co_await change<SetAttributeRequest>(call, Need::grows);
    case MetaMethod::list_attributes:
      co_return co_await look<ListAttributesRequest>(call);
    case MetaMethod::remove_attribute:
      co_return co_await change<RemoveAttributeRequest>(call, Need::steady);
    case MetaMethod::sync:
      co_return co_await sync(call);
    case MetaMethod::lock:
      co_return co_await lock(call);
    case MetaMethod::lock_extent:
      co_return co_await lock_extent(call);
    case MetaMethod::unlock:
      co_return co_await unlock(call);
    case MetaMethod::scan_records:
      co_return co_await look<ScanRecordsRequest>(call);
    case MetaMethod::get_records:
      co_return co_await look<GetRecordsRequest>(call);
    case MetaMethod::set_advisory_lock:
      co_return co_await advisory(call, &AdvisoryLocks::set);
    case MetaMethod::test_advisory_lock:
      co_return co_await advisory(call, &AdvisoryLocks::test);
    case MetaMethod::cancel_advisory_lock:
      co_return co_await advisory(call, &AdvisoryLocks::cancel);
    case MetaMethod::stat_file_system:
    case MetaMethod::reclaim:
      break;
  }
  constexpr Status unknown{Code::unsupported, 0, "no such call of a metadata target"};
  co_await call.reply(unknown, Bytes());
}

// What nobody else may hold while an operation is applied: waited for, and kept away until it is.
class Claims {
 public:
  Claims(lock::LockManager& locks, std::uint64_t session) : locks_(locks), session_(session) {}
  Claims(const Claims&) = delete;
  Claims& operator=(const Claims&) = delete;
  void end() {
    for (const WantedLock& one : std::exchange(claimed_, {})) locks_.end_claim(session_, one.inode, one.mode);
  }
  Task<Status> take(WantedLock wanted) {
    const Status status = co_await locks_.claim(session_, wanted.inode, wanted.mode);
    if (status.ok()) claimed_.push_back(wanted);
    co_return status;
  }

 private:
  lock::LockManager& locks_;
  const std::uint64_t session_;
  std::vector<WantedLock> claimed_;
};

// Who has a file open for writing tells how large it is by now; a lock that somebody only has still is asked back, so
// that who asks can keep the answer.
Task<Glimpse> Mds::ask_writers(std::uint64_t session, const Inode& inode) {
  if (!inode.is_regular() || !target_.opens.is_open_for_writing(inode.id)) co_return Glimpse{};
  auto glimpse = co_await glimpses_.ask(inode, locks_.in_the_way(session, inode.id, lock::Mode::shared));
  co_return glimpse;
}

Task<Glimpse> Mds::ask_parts(std::uint64_t session, const Inode& inode) {
  const std::uint64_t resizes = divided_.resizes(inode.id);
  auto glimpse = co_await glimpses_.ask(inode, divided_.writers(inode.id, session));
  glimpse.in_parts = true;
  glimpse.resizes = resizes;
  co_return glimpse;
}

template <class Request>
Task<> Mds::look(rpc::ServerCall& call) {
  Request request;
  if (!decode(call.body(), &request).ok()) co_return co_await refuse_malformed(call);
  const std::uint64_t session = call.session().id();
  constexpr int kTries = 3;     // to see something that cannot be lost
  constexpr int kAsksMax = 16;  // of writers, for one answer: the file changes in other ways all the time
  constexpr std::uint64_t kAskAgainNs = 10 * kMillisecond;
  wire::Encoded body;
  Status status;
  Claims claims(locks_, session);
  Glimpse glimpse;
  int asks = 0;
  for (int tries = 1;; ++tries) {
    target_.names.forget_seen();
    auto result = apply(target_, request);
    if (Inode* inode = result.ok() ? held_by_others(locks_, session, *result) : nullptr; inode != nullptr) {
      if (glimpse.fits(*inode, locks_.in_the_way(session, inode->id, lock::Mode::shared))) {
        glimpse.tell(*inode);
      } else {
        const WantedLock wanted{inode->id, lock::Mode::shared};
        if (asks++ < kAsksMax) glimpse = co_await ask_writers(session, *inode);
        if (!glimpse.known || asks > kAsksMax) status = co_await claims.take(wanted);
        if (!status.ok()) break;
        continue;
      }
    } else if (inode = result.ok() ? told_in_parts(divided_, *result) : nullptr; inode != nullptr) {
      const auto writers = divided_.writers(inode->id, session);
      const bool leaving = locks_.is_asked_back(session, inode->id);
      if (glimpse.covers(*inode, writers, divided_.resizes(inode->id), leaving)) {
        glimpse.tell(*inode);
      } else if (!writers.empty()) {
        // Who does not know gives his part back just now, or has no link. Whoever asks may have a share himself, so
        // nobody is asked for his on his behalf.
        if (++asks % kAsksMax == 0) co_await rest_.sleep(kAskAgainNs);
        if (rest_.stopped()) status = kStopped;
        if (!status.ok()) break;
        glimpse = co_await ask_parts(session, *inode);
        continue;
      }
    }
    // Who learns of something that others did rests on it: it must not be lost any more. Where others go on and on,
    // this is what was at one moment, without locks.
    const std::uint64_t seen = rests_on(session);
    if (seen == 0 && result.ok()) grant_beside(divided_, session, *result);
    lock_budget_.changed();
    if (seen != 0) RIDEAU_MARK(look_waited_for_commit);
    if (seen != 0) status = co_await target_.committer.wait_durable(seen);
    if (seen != 0 && !status.ok()) break;
    if (seen != 0 && tries < kTries) {
      glimpse = {};
      continue;
    }
    status = to_body(result, body);
    break;
  }
  claims.end();
  co_await call.reply(status, body.bytes());
}

namespace {

// Bytes may be written under a new layout at once, and it depends on what targets there are and how full they are.
bool must_be_durable(const SetAttributeRequest& request) { return request.name == kLayoutAttribute; }
template <class Request>
bool must_be_durable(const Request&) {
  return false;
}

}  // namespace

template <class Request>
Task<> Mds::change(rpc::ServerCall& call, Need need) {
  Request request;
  if (!decode(call.body(), &request).ok()) co_return co_await refuse_malformed(call);
  if (call.replays()) co_return co_await change_again(call, request);
  wire::Encoded body;
  Status status;
  std::uint64_t number = 0;
  std::uint64_t seen = 0;
  const std::uint64_t id = call.session().id();
  const std::uint64_t bytes = inline_bytes_of(request);
  if (bytes != 0) need = Need::grows;
  Claims claims(locks_, id);
  for (;;) {
    status = co_await target_.committer.admit(need, bytes);
    if (!status.ok()) break;
    auto* session = static_cast<Session*>(call.session().owner_slot);
    target_.names.forget_seen();
    session->opened = {};
    Transaction transaction(target_, &locks_, id);
    auto result = apply_change(target_, transaction, request, *session);
    if (!transaction.wanted().empty()) {
      for (const WantedLock& wanted : transaction.wanted()) {
        if (status.ok()) status = co_await claims.take(wanted);
      }
      if (!status.ok()) break;
      continue;
    }
    number = transaction.number();
    seen = commutes(result) ? 0 : rests_on(id);
    if constexpr (!std::is_same_v<decltype(result), Status>) {
      if (result.ok()) grant_beside(divided_, id, *result, exclusive_wanted(request));
      lock_budget_.changed();
    }
    status = to_body(result, body);
    if (number != 0) {
      divided_.note_resize(resized_by(request));
      target_.sessions.made(number, id, target_.committer.durable());
      if (target_.options.commit_first || must_be_durable(request)) seen = number;
      if (seen != 0) target_.sessions.hold_back(number);
      keep_reply(call, *session, number, body.bytes());
    }
    forget_purged();
    break;
  }
  claims.end();
  if (seen != 0) {
    RIDEAU_MARK(change_waited_for_commit);
    const Status durable = co_await target_.committer.wait_durable(seen);
    if (!durable.ok()) {
      // Neither is this change: who is told that it failed must not make it again after a restart.
      status = durable;
      number = 0;
    }
  }
  co_await call.reply(status, body.bytes(), number);
}

// Its client has the answer, and made again in order it ends as it had ended: nobody waits, and nobody is in the way.
template <class Request>
Task<> Mds::change_again(rpc::ServerCall& call, const Request& request) {
  Lost lost;
  lost.transaction = call.lost_transaction();
  Status status = co_await call.fetch_payload();
  if (status.ok()) {
    // In one piece, and of whole words, whatever it came in.
    std::vector<std::uint64_t> words((call.payload_bytes() + 7) / 8);
    auto* at = reinterpret_cast<std::uint8_t*>(words.data());
    for (std::uint32_t i = 0; i < call.payload_parts(); ++i) {
      const IoVec& part = call.payload()[i];
      at = std::copy_n(static_cast<const std::uint8_t*>(part.base), part.size, at);
    }
    status = read_answer(request, Bytes(words.data(), call.payload_bytes()), &lost);
  }
  // It was answered: it has its place in the reserve, as it would have had in a group that found no space.
  if (status.ok()) status = co_await target_.committer.admit(Need::steady, inline_bytes_of(request));
  std::uint64_t number = 0;
  if (status.ok()) {
    auto* session = static_cast<Session*>(call.session().owner_slot);
    Transaction transaction(target_);
    transaction.repeat(lost);
    status = status_of(apply_change(target_, transaction, request, *session));
    number = transaction.number();
    if (number != 0) {
      target_.sessions.made(number, session->id, target_.committer.durable());
      session->opened = {};
      RIDEAU_MARK(lost_change_made_again);
      keep_reply(call, *session, number, Bytes());
    }
    forget_purged();
  }
  co_await call.reply(status, Bytes(), number);
}

std::uint64_t Mds::rests_on(std::uint64_t session) const {
  std::uint64_t newest = 0;
  if (RIDEAU_PLANTED_BUG(answers_before_durable)) return 0;
  for (const std::uint64_t change : target_.names.seen()) {
    if (change > newest && !target_.sessions.is_own(change, session)) newest = change;
  }
  return newest;
}

void Mds::forget_purged() {
  for (const InodeId inode : std::exchange(target_.purged, {})) {
    locks_.forget(inode);
    divided_.forget(inode);
  }
}

// The reply stands in the same batch as the change that it reports: after a crash both are there or neither.
void Mds::keep_reply(rpc::ServerCall& call, Session& session, std::uint64_t transaction, Bytes body) {
  session.last_transaction = transaction;
  if (!call.modifies() || call.slot() >= limits::kSlotsPerSession) return;
  SlotRecord record;
  record.sequence = call.sequence();
  record.transaction = transaction;
  record.method = call.method();
  const auto& [handle, opened] = session.opened;
  record.opened_handle = handle;
  record.opened_inode = opened.inode;
  record.opened_flags = opened.flags;
  record.body_kept = body.size <= limits::kKeptReplyBytesMax;
  if (record.body_kept) record.body = body;
  target_.names.put_record(slot_key(session.id, call.slot()), record);
  if (session.slots_kept.size() <= call.slot()) session.slots_kept.resize(call.slot() + 1);
  session.slots_kept[call.slot()] = true;
}

Task<> Mds::refuse_malformed(rpc::ServerCall& call) {
  constexpr Status malformed{Code::invalid, EINVAL, "malformed body"};
  co_await call.reply(malformed, Bytes());
  call.session().evict("malformed body of method " + std::to_string(call.method()));
}

Task<> Mds::stat_file_system(rpc::ServerCall& call) {
  wire::Encoded body;
  Result<StatFileSystemReply> reply = apply_stat_file_system(target_);
  if (reply.ok()) reply->drains = mover_.progress();
  const Status status = to_body(reply, body);
  co_await call.reply(status, body.bytes());
}

Task<> Mds::sync(rpc::ServerCall& call) {
  SyncRequest request;
  if (!decode(call.body(), &request).ok()) co_return co_await refuse_malformed(call);
  const std::uint64_t upto = request.transaction != 0 ? request.transaction : target_.committer.last();
  const Status status = co_await target_.committer.wait_durable(upto);
  co_await call.reply(status, Bytes());
}

Task<> Mds::lock(rpc::ServerCall& call) {
  LockRequest request;
  if (!decode(call.body(), &request).ok()) co_return co_await refuse_malformed(call);
  const auto mode = static_cast<lock::Mode>(request.mode);
  Status status = kOk;
  if (mode != lock::Mode::shared && mode != lock::Mode::exclusive) status = posix_error(EINVAL);
  InodeRecord record;
  if (status.ok()) status = target_.names.get(request.resource, &record);
  const std::uint64_t holder = call.session().id();
  if (status.ok()) status = co_await acquire(holder, request);
  if (status.ok()) {
    // Who gets the lock may rest on what others did: it must not be lost any more.
    status = co_await target_.committer.wait_durable(target_.sessions.last_transaction_of_others(holder));
    if (!status.ok()) divided_.release(holder, request.resource, locks_.held(holder, request.resource).number);
  }
  wire::Encoded body;
  const LockReply granted{divided_.word(request.resource, locks_.held(holder, request.resource))};
  encode(granted, body);
  co_await call.reply(status, body.bytes());
  locks_.told(holder, request.resource);
}

Task<Status> Mds::acquire(std::uint64_t holder, const LockRequest& request) {
  const InodeId inode = request.resource;
  const auto mode = static_cast<lock::Mode>(request.mode);
  Status status;
  for (;;) {
    if (divided_.contains(inode)) {
      if (divided_.rejoin(holder, inode)) co_return kOk;
      if (!request.knows_parts) {
        // Everybody gives everything back, with which it is whole.
        divided_.release(holder, inode, locks_.held(holder, inode).number);
        status = co_await locks_.claim(holder, inode, lock::Mode::exclusive);
        if (!status.ok()) co_return status;
        locks_.end_claim(holder, inode, lock::Mode::exclusive);
        continue;
      }
      status = co_await locks_.acquire(holder, inode, lock::Mode::shared);
      if (!status.ok() || divided_.contains(inode)) co_return status;
      // It became whole meanwhile. The share is a lock like others now, which may be asked back while this call waits.
      locks_.told(holder, inode);
      continue;
    }
    const bool conflicts = !locks_.in_the_way(holder, inode, mode).empty();
    const bool written = mode == lock::Mode::exclusive || target_.opens.is_open_for_writing(inode);
    // Who writes an inline file moves it out first, under the whole lock.
    const auto in_objects = [&] {
      InodeRecord now;
      return target_.names.get(inode, &now).ok() && now.inode.is_regular() && !now.inode.is_inline();
    };
    if (request.knows_parts && conflicts && written && in_objects() && divided_.note_conflict(inode)) {
      status = co_await locks_.claim(holder, inode, lock::Mode::exclusive);
      if (!status.ok()) co_return status;
      // What this client cached meanwhile, under a lock that came beside an answer, is not covered by parts.
      const bool free = locks_.held(holder, inode).mode == lock::Mode::none && in_objects();
      if (free) divided_.divide(inode);
      locks_.end_claim(holder, inode, lock::Mode::exclusive);
      if (free) continue;
    }
    status = co_await locks_.acquire(holder, inode, mode);
    co_return status;
  }
}

Task<> Mds::lock_extent(rpc::ServerCall& call) {
  LockExtentRequest request;
  if (!decode(call.body(), &request).ok()) co_return co_await refuse_malformed(call);
  constexpr Status ask_again{Code::busy, EAGAIN, "the file is not locked in parts, or not by this client"};
  const auto mode = static_cast<lock::Mode>(request.mode);
  const lock::Extent wanted{request.begin, request.end};
  const std::uint64_t holder = call.session().id();
  lock::ExtentLocks& extents = divided_.extents();
  const auto has_share = [&] {
    return divided_.contains(request.resource) && locks_.held(holder, request.resource).mode == lock::Mode::shared;
  };
  Status status = mode == lock::Mode::shared || mode == lock::Mode::exclusive ? kOk : posix_error(EINVAL);
  if (status.ok() && !has_share()) status = ask_again;
  LockExtentReply reply;
  if (status.ok()) {
    const Result<lock::ExtentGrant> granted = co_await extents.acquire(holder, request.resource, wanted, mode);
    status = granted.status();
    if (granted.ok()) {
      reply = {granted->range.begin, granted->range.end, static_cast<std::uint32_t>(granted->mode), granted->number};
    } else if (status.code == Code::busy) {
      status = ask_again;
    }
  }
  // Who gets it may rest on what others did, as with a whole lock.
  if (status.ok())
    status = co_await target_.committer.wait_durable(target_.sessions.last_transaction_of_others(holder));
  const bool granted = reply.number != 0;
  // What its client has given back meanwhile he knows better.
  if (granted && status.ok() && !has_share()) status = ask_again;
  if (granted && !status.ok()) {
    extents.release(holder, request.resource, {reply.begin, reply.end}, reply.number);
  }
  lock_budget_.changed();
  wire::Encoded body;
  encode(reply, body);
  co_await call.reply(status, status.ok() ? body.bytes() : Bytes());
  if (granted) extents.told(holder, request.resource, reply.number);
}

Task<> Mds::unlock(rpc::ServerCall& call) {
  UnlockRequest request;
  if (!decode(call.body(), &request).ok()) co_return co_await refuse_malformed(call);
  const std::uint64_t holder = call.session().id();
  for (const ExtentItem& item : request.extents) {
    divided_.extents().release(holder, item.resource, {item.begin, item.end}, item.number);
  }
  for (const LockItem& item : request.items) divided_.release(holder, item.resource, item.number);
  lock_budget_.changed();
  co_await call.reply(kOk, Bytes());
}

template <class Request, class Reply>
Task<> Mds::advisory(rpc::ServerCall& call, Result<Reply> (AdvisoryLocks::*answer)(std::uint64_t, const Request&)) {
  Request request;
  if (!decode(call.body(), &request).ok()) co_return co_await refuse_malformed(call);
  wire::Encoded body;
  const Status status = to_body((advisory_locks_.*answer)(call.session().id(), request), body);
  co_await call.reply(status, body.bytes());
}

void Mds::evict(std::uint64_t id, const std::string& reason) {
  Session* session = target_.sessions.find(id);
  if (session == nullptr || session->link == nullptr) return;
  // From here on no call of it is taken.
  session->link->evict(reason);
}

void Mds::on_session(rpc::ServerSession& session) {
  Session& added = target_.sessions.add(session.id(), &session);
  session.owner_slot = &added;
  if (const auto slots = restored_slots_.find(session.id()); slots != restored_slots_.end()) {
    added.restored = true;
    added.record_transaction = target_.committer.first();
    added.slots_kept = slots->second;
  }
}

// Its opens, locks and changes stay while they are in nobody's way: the client may come back and go on with them.
bool Mds::ends_after_lease(rpc::ServerSession& session) {
  return lock_callbacks_.owes(session.id()) || advisory_locks_.in_the_way(session.id());
}

// Calls of the session that wait for a lock end with this. What it holds goes to others at once when it said goodbye
// (it has written everything), and else when no write can rest on it any more.
void Mds::on_session_closing(rpc::ServerSession& session, const std::string& reason) {
  if (!session.ends_in_order()) {
    const Evictions::Asked* owed = lock_callbacks_.oldest(session.id());
    target_.log.warning("eviction: %s", evictions_.add(session, reason, owed).c_str());
  }
  lock_callbacks_.forget(session.id());
  if (Session* closing = target_.sessions.find(session.id()); closing != nullptr) closing->closing = true;
  if (session.ends_with_server()) {
    recovery_.stop();
  } else {
    recovery_.wake();
  }
  // What one who did not claim it had before the restart, nobody knows.
  const bool unclaimed = recovery_.awaits(session.id());
  if (session.ends_in_order() || (!locks_.holds(session.id()) && !unclaimed)) {
    drop_locks(session.id());
    recovery_.settled(session.id(), false);
    // A call of it that still runs may take one, of which its client does not hear any more.
    if (Session* closing = target_.sessions.find(session.id()); closing != nullptr) closing->fenced = true;
    return;
  }
  locks_.drop_waiting(session.id());
  divided_.extents().drop_waiting(session.id());
  tasks_.spawn(release_fenced(session.client(), session.id()));
}

Task<> Mds::release_fenced(Uuid client, std::uint64_t session) {
  if (!RIDEAU_PLANTED_BUG(evicts_without_fence)) co_await fencing_.fence(client, session);
  // After a restart the client must not be taken for one that holds what others got meanwhile.
  const Status admitted = co_await target_.committer.admit(Need::steady);
  if (admitted.ok()) {
    target_.names.erase(session_key(session));
    static_cast<void>(co_await target_.committer.wait_durable(target_.committer.begin_transaction()));
  }
  drop_locks(session);
  recovery_.settled(session, false);
  // A call of it that still runs may take one more.
  if (Session* ending = target_.sessions.find(session); ending != nullptr) ending->fenced = true;
}

void Mds::drop_locks(std::uint64_t session) {
  divided_.drop(session);
  advisory_locks_.drop(session);
}

void Mds::on_session_end(rpc::ServerSession& session) {
  session.owner_slot = nullptr;
  std::unique_ptr<Session> ended = target_.sessions.remove(session.id());
  if (ended == nullptr) return;
  if (session.ends_in_order() || ended->fenced) drop_locks(session.id());
  ended->link = nullptr;
  // The client goes on with the session when the target is back, and claims what it has open.
  if (session.ends_with_server()) return;
  tasks_.spawn(end_session(std::move(ended)));
}

// Closes what the client had open, a portion at a time, and forgets its slots.
Task<> Mds::end_session(std::unique_ptr<Session> session) {
  constexpr int kHandlesPerPortion = 32;
  while (!session->handles.empty()) {
    const Status admitted = co_await target_.committer.admit(Need::steady);
    if (!admitted.ok()) co_return;
    Transaction transaction(target_);
    for (int i = 0; i < kHandlesPerPortion && !session->handles.empty(); ++i) {
      // A damaged record keeps its inode; the handle goes all the same.
      static_cast<void>(drop_handle(target_, transaction, *session, session->handles.begin()->first));
    }
    forget_purged();
  }
  if (session->record_transaction == 0) co_return;
  const Status admitted = co_await target_.committer.admit(Need::steady);
  if (!admitted.ok()) co_return;
  target_.committer.begin_transaction();
  target_.names.erase(session_key(session->id));
  for (std::uint32_t slot = 0; slot < session->slots_kept.size(); ++slot) {
    if (session->slots_kept[slot]) target_.names.erase(slot_key(session->id, slot));
  }
}

}  // namespace rideau::mds
