// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/mover.hpp"

#include "framework/base/limits.hpp"
#include "framework/base/sim_hooks.hpp"
#include "framework/observe/log.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <set>

namespace rideau::mds {

using namespace fs;

namespace {

constexpr std::size_t kRecordsPerLook = 256;
constexpr std::size_t kFilesAtOnce = 8;
constexpr std::uint64_t kRetryFirstNs = kSecond;
constexpr std::uint64_t kRetryLastNs = 30 * kSecond;
// A file whose copy takes longer is copied while clients work on it.
constexpr std::uint64_t kPatienceNs = 200 * kMillisecond;
constexpr std::uint64_t kPatienceBytes = 32ull << 20;
constexpr int kTriesBesideClients = 2;

constexpr Status kStopped{Code::closed, 0, "the target stops"};
constexpr Status kChanged{Code::busy, 0, "its layout changed meanwhile"};
constexpr Status kDestinationLeaves{Code::busy, 0, "the new place is drained as well"};

bool is_gone(const Status& status) { return status.code == Code::posix && status.os_error == ESTALE; }

bool is_written(const Target& target, const Inode& inode) { return target.opens.is_open_for_writing(inode.id); }

}  // namespace

Mover::Mover(Target& target, ObjectTargets& calls, DividedFiles& files)
    : target_(target),
      calls_(calls),
      files_(files),
      locks_(files.locks()),
      rest_(target.runtime),
      pace_(target.runtime, rest_),
      moved_(target.runtime),
      wanted_(target.runtime),
      tasks_(target.runtime) {}

void Mover::stop() {
  rest_.stop();
  wanted_.wake_all();
  locks_.drop_waiting(holder_);
}

Mover::Leaving Mover::leaving() const {
  Leaving found;
  for (const auto& [id, drain] : target_.drains) {
    if (drain.state == DrainState::draining) found[id] = facts_.at(id).begun;
  }
  return found;
}

bool Mover::still_leaving(TargetId id, std::uint64_t begun) const {
  const Leaving now = leaving();
  const auto found = now.find(id);
  return found != now.end() && found->second == begun;
}

bool Mover::lies_on(const Inode& inode, const Leaving& leaving) {
  const auto leaves = [&leaving](TargetId id) { return leaving.contains(id); };
  return std::any_of(inode.layout.targets.begin(), inode.layout.targets.end(), leaves);
}

Task<Status> Mover::claim(InodeId id, lock::Mode mode) {
  if (rest_.stopped()) co_return kStopped;
  const Status status = co_await locks_.claim(holder_, id, mode);
  co_return status;
}

// Who shares a file that is locked in parts may write it.
Task<Status> Mover::begin_watch(InodeId id) {
  for (;;) {
    const auto mode = files_.contains(id) ? lock::Mode::exclusive : lock::Mode::shared;
    const Status status = co_await claim(id, mode);
    if (!status.ok()) co_return status;
    const bool quiet = mode == lock::Mode::exclusive || !files_.contains(id);
    if (quiet) locks_.watch(id);
    locks_.end_claim(holder_, id, mode);
    if (quiet) co_return kOk;
  }
}

Task<> Mover::run() {
  holder_ = target_.superblock.boot_epoch << 32;  // sessions have greater numbers
  co_await forget_what_left();
  std::uint64_t retry_ns = kRetryFirstNs;
  while (!rest_.stopped()) {
    const Leaving now = leaving();
    if (now.empty()) {
      co_await wanted_.wait();
      retry_ns = kRetryFirstNs;
      continue;
    }
    std::uint64_t found = 0;
    const std::uint64_t before = files_moved_;
    Status status = co_await pass(now, &found);
    if (rest_.stopped() || !target_.committer.failure().ok()) break;
    if (status.ok() && found == 0) {
      for (const auto& [id, begun] : now) {
        const Status finished = co_await finish(id, begun);
        if (!finished.ok()) status = finished;
      }
    }
    // What could not move now may do so later.
    if (files_moved_ != before) retry_ns = kRetryFirstNs;
    if (rest_.stopped() || (found != 0 && status.ok())) continue;
    co_await rest_.sleep(retry_ns);
    retry_ns = std::min(2 * retry_ns, kRetryLastNs);
  }
  co_await tasks_.join();
}

// Somebody took an empty target out of the file while this did not run.
Task<> Mover::forget_what_left() {
  const auto& all = target_.options.object_targets;
  for (const auto& one : progress()) {
    if (one.state != DrainState::drained || std::binary_search(all.begin(), all.end(), one.target)) continue;
    const std::string problem = co_await remove(one.target);
    if (!problem.empty()) target_.log.warning("%s", problem.c_str());
  }
}

// One walk over all files that there are.
Task<Status> Mover::pass(const Leaving& leaving, std::uint64_t* found) {
  // Files that were made before a drain began are there to be found; none that is made later lies on its target.
  const Status durable = co_await target_.committer.wait_durable(target_.committer.last());
  if (!durable.ok()) co_return durable;
  std::uint64_t rate = 0;
  for (const auto& [id, begun] : leaving) {
    facts_[id].problem.clear();
    const auto drain = target_.drains.find(id);
    if (drain == target_.drains.end()) continue;  // cancelled just now
    const std::uint64_t wished = drain->second.bytes_per_second;
    if (wished != 0) rate = rate == 0 ? wished : std::min(rate, wished);
  }
  pace_.set_rate(rate);
  const Status counted = co_await count(leaving);
  if (!counted.ok()) co_return counted;
  co_await ask_space();
  for (InodeId next = 0; !rest_.stopped();) {
    const Found here = look(next, leaving);
    if (!here.status.ok()) co_return here.status;
    *found += here.inodes.size();
    for (const InodeId id : here.inodes) {
      while (running_ >= kFilesAtOnce) co_await moved_.wait();
      if (rest_.stopped()) break;
      ++running_;
      tasks_.spawn(move_one(id, leaving));
    }
    if (here.end) break;
    next = here.next;
    co_await yield_now(target_.runtime);
  }
  while (running_ != 0) co_await moved_.wait();
  if (rest_.stopped()) co_return kStopped;
  const auto troubled = [this](const auto& one) { return !facts_[one.first].problem.empty(); };
  co_return std::any_of(leaving.begin(), leaving.end(), troubled) ? Status{Code::busy, 0, "some files do not move now"}
                                                                  : kOk;
}

Task<Status> Mover::count(const Leaving& leaving) {
  std::map<TargetId, std::uint64_t> counts;
  for (InodeId next = 0; !rest_.stopped();) {
    const Found here = look(next, leaving);
    if (!here.status.ok()) co_return here.status;
    for (const auto& [id, files] : here.on) counts[id] += files;
    if (here.end) break;
    next = here.next;
    co_await yield_now(target_.runtime);
  }
  for (const auto& [id, begun] : leaving) facts_[id].files_left = counts[id];
  co_return rest_.stopped() ? kStopped : kOk;
}

Mover::Found Mover::look(InodeId from, const Leaving& leaving) {
  Found found;
  Snapshot* snapshot = target_.committer.snapshot();
  if (snapshot == nullptr) {
    found.status = {Code::io_error, EIO, "read the index"};
    return found;
  }
  Bytes key;
  Bytes value;
  Status status = snapshot->seek(inode_key(from), &key, &value);
  std::size_t looked_at = 0;
  InodeRecord record;
  for (; status.ok() && is_kind(key, KeyKind::inode); status = snapshot->next(&key, &value)) {
    if (looked_at++ == kRecordsPerLook) return found;
    const Status good = decode(key, value, &record);
    found.next = record.inode.id + 1;
    if (!good.ok()) {
      // It may lie anywhere: nothing is empty for certain.
      for (const auto& [id, begun] : leaving) facts_[id].problem = "a record is damaged: run rideau fsck";
      continue;
    }
    if (!lies_on(record.inode, leaving)) continue;
    found.inodes.push_back(record.inode.id);
    std::set<TargetId> on(record.inode.layout.targets.begin(), record.inode.layout.targets.end());
    for (const TargetId id : on) {
      if (leaving.contains(id)) ++found.on[id];
    }
  }
  found.end = true;
  if (!status.ok() && status.code != Code::not_found) found.status = status;
  return found;
}

Task<> Mover::ask_space() {
  free_.clear();
  const std::vector<TargetId> all = target_.options.object_targets;
  for (const TargetId id : all) {
    const Result<std::uint64_t> free = co_await calls_.bytes_free(id);
    if (rest_.stopped()) co_return;
    if (free.ok()) free_[id] = *free;
  }
}

Task<> Mover::move_one(InodeId id, const Leaving& leaving) {
  const Leaving from = leaving;
  co_await yield_now(target_.runtime);
  InodeRecord record;
  const Status known = read_now(id, &record);
  const Status status = co_await move(id, from);
  if (status.ok()) {
    for (const auto& [target, begun] : from) {
      std::uint64_t& left = facts_[target].files_left;
      const auto& on = record.inode.layout.targets;
      if (known.ok() && left != 0 && std::count(on.begin(), on.end(), target) != 0) --left;
    }
  } else if (!rest_.stopped()) {
    tell_problem(record.inode, from, status);
  }
  --running_;
  moved_.wake_all();
}

Status Mover::read_now(InodeId id, InodeRecord* to) {
  target_.names.forget_seen();
  return target_.names.get(id, to);
}

void Mover::tell_problem(const Inode& inode, const Leaving& leaving, Status status) {
  RIDEAU_MARK(move_given_up);
  // What keeps a file for good: a server that does not give its bytes. Everything else passes.
  const char* why = errno_of(status) == EIO   ? "its bytes cannot be read, rideau scrub says why"
                    : status.where != nullptr ? status.where
                                              : code_name(status.code);
  const std::string what = "inode " + std::to_string(inode.id) + ": " + why;
  for (const auto& [id, begun] : leaving) {
    const auto& on = inode.layout.targets;
    if (std::count(on.begin(), on.end(), id) == 0) continue;
    if (facts_[id].problem.empty()) {
      target_.log.warning("object target %" PRIu32 " is drained, and not every file can leave it now: %s", id,
                          what.c_str());
    }
    facts_[id].problem = what;
  }
}

Task<Status> Mover::move(InodeId id, const Leaving& leaving) {
  InodeRecord record;
  Inode& inode = record.inode;
  // What objects may have of an inline file means nothing: they were left by somebody who did not come to move it out.
  const auto old_objects = [&] {
    if (Transaction::is_untouched(inode) && !is_written(target_, inode)) return Objects::none;
    return inode.is_inline() ? Objects::worthless : Objects::copied;
  };
  Status status = read_now(id, &record);
  if (is_gone(status)) co_return kOk;
  if (!status.ok()) co_return status;
  if (!lies_on(inode, leaving)) co_return kOk;
  if (old_objects() != Objects::copied) {
    status = co_await claim(id, lock::Mode::exclusive);
    if (!status.ok()) co_return status;
    status = read_now(id, &record);
    const bool still = status.ok() && old_objects() != Objects::copied && lies_on(inode, leaving);
    Layout to;
    if (still) status = choose(inode, leaving, &to);
    if (still && status.ok()) {
      to.generation = inode.next_generation();
      status = co_await commit(id, to, inode.layout.generation, 0, old_objects());
    }
    locks_.end_claim(holder_, id, lock::Mode::exclusive);
    if (is_gone(status)) co_return kOk;
    if (still || !status.ok()) co_return status;
  }
  Attempt attempt;
  status = co_await begin_attempt(id, leaving, &attempt);
  if (is_gone(status)) co_return kOk;
  if (!status.ok()) co_return status;
  status = co_await move_with_copy(inode, attempt);
  if (!status.ok()) give_up(id, attempt);
  co_return is_gone(status) ? kOk : status;
}

// New targets for what leaves; the rest stays where it is, though under the new generation.
Status Mover::choose(const Inode& inode, const Leaving& leaving, Layout* to) {
  *to = inode.layout;
  const std::uint64_t size = inode.size / std::max<std::size_t>(to->targets.size(), 1);
  std::map<TargetId, std::size_t> uses;
  for (const TargetId id : to->targets) {
    if (!free_.contains(id)) return {Code::closed, 0, "an object target of it does not answer"};
    ++uses[id];
  }
  std::vector<TargetId> candidates;
  for (const TargetId id : target_.placement.usable(inode.pool)) {
    if (free_.contains(id)) candidates.push_back(id);
  }
  if (candidates.empty()) return {Code::no_space, ENOSPC, "no other object target of its pool answers"};
  for (TargetId& id : to->targets) {
    if (!leaving.contains(id)) continue;
    const auto better = [&](TargetId a, TargetId b) {
      return uses[a] != uses[b] ? uses[a] < uses[b] : free_[a] > free_[b];
    };
    // Where it does not fit nothing is tried: each attempt spends a generation.
    const auto fits = [&](TargetId one) { return free_[one] > size; };
    std::vector<TargetId> roomy;
    std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(roomy), fits);
    if (roomy.empty()) return {Code::no_space, ENOSPC, "the other object targets have no room for it"};
    id = *std::min_element(roomy.begin(), roomy.end(), better);
    ++uses[id];
    free_[id] -= size;
  }
  return kOk;
}

Task<Status> Mover::begin_attempt(InodeId id, const Leaving& leaving, Attempt* attempt) {
  Status status = co_await target_.committer.admit(Need::steady);
  if (!status.ok()) co_return status;
  InodeRecord record;
  Inode& inode = record.inode;
  status = read_now(id, &record);
  if (status.ok()) status = choose(inode, leaving, &attempt->to);
  if (!status.ok()) co_return status;
  const std::uint32_t spent = (inode.flags & kSpentMask) >> kSpentShift;
  if (spent == kSpentMax) co_return Status{Code::refused, 0, "too many attempts to move it failed: copy it"};
  attempt->from = inode.layout;
  attempt->to.generation = inode.next_generation();
  inode.flags = (inode.flags & ~kSpentMask) | (spent + 1) << kSpentShift;
  Transaction transaction(target_);
  transaction.begin();
  target_.moving.emplace(id, attempt->to.generation);
  target_.names.put_record(destroy_key(id, attempt->to.generation), DestroyRecord{attempt->to.targets});
  transaction.put(record);
  status = co_await target_.committer.wait_durable(transaction.number());
  if (!status.ok()) give_up(id, *attempt);
  co_return status;
}

// The record that stands there since the attempt began sees to the rest.
void Mover::give_up(InodeId id, const Attempt& attempt) {
  target_.moving.erase({id, attempt.to.generation});
  ++target_.destroys_recorded;
  target_.destroys_wanted.wake_all();
}

Task<Status> Mover::move_with_copy(const Inode& inode, Attempt& attempt) {
  const InodeId id = inode.id;
  const bool takes_long = inode.size > kPatienceBytes || pace_.time_ns(inode.size) > kPatienceNs;
  std::uint64_t bytes = 0;
  bool claimed = false;
  Status status = kOk;
  for (int tries = 0; takes_long && !claimed && tries < kTriesBesideClients; ++tries) {
    status = co_await begin_watch(id);
    if (!status.ok()) co_return status;
    bytes = 0;
    status = co_await copy(id, attempt, true, &bytes);
    if (status.ok()) status = co_await claim(id, lock::Mode::exclusive);
    const bool changed = locks_.end_watch(id);
    if (!status.ok()) co_return status;
    claimed = !changed || RIDEAU_PLANTED_BUG(moves_what_was_written);
    RIDEAU_MARK(copied_beside_clients);
    if (claimed) break;
    RIDEAU_MARK(copied_again);
    locks_.end_claim(holder_, id, lock::Mode::exclusive);
  }
  if (!claimed) {
    status = co_await claim(id, lock::Mode::exclusive);
    if (!status.ok()) co_return status;
    bytes = 0;
    status = co_await copy(id, attempt, false, &bytes);
  }
  if (status.ok()) status = co_await commit(id, attempt.to, attempt.from.generation, bytes, Objects::copied);
  locks_.end_claim(holder_, id, lock::Mode::exclusive);
  co_return status;
}

// To new objects, and durable there.
Task<Status> Mover::copy(InodeId inode, Attempt& attempt, bool waits, std::uint64_t* bytes) {
  std::map<TargetId, std::uint64_t> losses;
  std::map<TargetId, std::vector<ObjectId>> copies;
  for (std::uint32_t i = 0; i < attempt.to.stripe_count(); ++i) {
    const TargetId id = attempt.to.targets[i];
    losses.try_emplace(id, calls_.losses(id));
    copies[id].push_back(object_id(inode, attempt.to.generation, i));
  }
  for (std::uint32_t i = 0; i < attempt.to.stripe_count(); ++i) {
    ObjectCopy what;
    what.from = calls_.channel(attempt.from.targets[i]);
    what.source = object_id(inode, attempt.from.generation, i);
    what.to = calls_.channel(attempt.to.targets[i]);
    what.copy = object_id(inode, attempt.to.generation, i);
    what.version = attempt.version;
    what.first = attempt.first;
    if (what.from == nullptr || what.to == nullptr) co_return Status{Code::not_found, 0, "no such object target"};
    const Status copied = co_await copy_object(rest_, pace_, what, waits, bytes);
    if (!copied.ok()) co_return copied;
  }
  attempt.version += 2;
  attempt.first = false;
  if (RIDEAU_PLANTED_BUG(moves_without_sync)) co_return kOk;
  for (const auto& [id, objects] : copies) {
    ObjectSyncRequest request;
    request.objects = objects;
    ObjectChannel* channel = calls_.channel(id);
    if (channel == nullptr) co_return Status{Code::not_found, 0, "no such object target"};
    const Status synced = co_await channel->sync(std::move(request));
    if (!synced.ok()) co_return synced;
    if (calls_.losses(id) != losses[id]) co_return Status{Code::closed, 0, "the new target restarted meanwhile"};
  }
  co_return kOk;
}

// The file lies there from now on; ends when that is durable.
Task<Status> Mover::commit(InodeId id, const Layout& to, std::uint32_t from_generation, std::uint64_t bytes,
                           Objects old) {
  const Layout layout = to;
  Status status = co_await target_.committer.admit(Need::steady);
  if (!status.ok()) co_return status;
  InodeRecord record;
  Inode& inode = record.inode;
  status = read_now(id, &record);
  if (!status.ok()) co_return status;
  if (inode.layout.generation != from_generation) co_return kChanged;
  for (const TargetId target : layout.targets) {
    if (target_.drains.contains(target)) co_return kDestinationLeaves;
  }
  Transaction transaction(target_);
  transaction.begin();
  if (old != Objects::none) {
    target_.names.put_record(destroy_key(id, from_generation), DestroyRecord{inode.layout.targets});
  }
  if (old == Objects::copied) target_.names.erase(destroy_key(id, layout.generation));
  for (auto& [target, drain] : target_.drains) {
    if (std::count(inode.layout.targets.begin(), inode.layout.targets.end(), target) == 0) continue;
    ++drain.files;
    drain.bytes += bytes;
    target_.names.put_record(drain_key(target), drain);
  }
  inode.layout = layout;
  inode.flags &= ~kSpentMask;
  transaction.put(record);
  status = co_await target_.committer.wait_durable(transaction.number());
  RIDEAU_MARK(file_moved);
  ++files_moved_;
  target_.moving.erase({id, layout.generation});
  ++target_.destroys_recorded;
  target_.destroys_wanted.wake_all();
  co_return status;
}

// No file lies there any more. It is drained when no object does either, and no record speaks of one.
Task<Status> Mover::finish(TargetId id, std::uint64_t begun) {
  bool any = false;
  Status status = co_await target_.committer.wait_durable(target_.committer.last());
  if (status.ok()) status = destroys_left(id, &any);
  if (!status.ok() || any) co_return status;
  bool all = false;
  status = co_await destroy_rest(id, begun, &all);
  if (!status.ok() || !all || !still_leaving(id, begun)) co_return status;
  DrainRecord record = target_.drains.at(id);
  record.state = DrainState::drained;
  status = co_await put(id, record);
  target_.log.info("object target %" PRIu32 " is drained: %" PRIu64 " files with %" PRIu64 " bytes moved away", id,
                   record.files, record.bytes);
  co_return status;
}

Status Mover::destroys_left(TargetId id, bool* any) {
  Snapshot* snapshot = target_.committer.snapshot();
  if (snapshot == nullptr) return {Code::io_error, EIO, "read the index"};
  Bytes key;
  Bytes value;
  const Key first(KeyKind::destroy);
  Status status = snapshot->seek(first, &key, &value);
  for (; status.ok() && is_kind(key, KeyKind::destroy); status = snapshot->next(&key, &value)) {
    DestroyRecord record;
    if (!decode(key, value, &record).ok()) continue;
    *any = *any || std::count(record.targets.begin(), record.targets.end(), id) != 0;
    if (*any) return kOk;
  }
  return status.ok() || status.code == Code::not_found ? kOk : status;
}

// What lost creates and crashes left there.
Task<Status> Mover::destroy_rest(TargetId id, std::uint64_t begun, bool* all) {
  *all = true;
  for (ObjectId after{}; !rest_.stopped();) {
    Result<std::vector<ObjectId>> found = co_await calls_.list(id, after, ~0ull);
    if (!found.ok()) co_return found.status();
    if (found->empty()) co_return kOk;
    after = found->back();
    // Who takes files again has objects that nobody looked for.
    if (!still_leaving(id, begun)) break;
    std::vector<ObjectId> rubbish;
    for (const ObjectId& object : *found) {
      if (is_rubbish(id, object)) {
        rubbish.push_back(object);
      } else {
        *all = false;
        facts_[id].problem = "objects of inode " + std::to_string(owner_of(object)) + " are there: run rideau fsck";
      }
    }
    if (rubbish.empty()) continue;
    const Status destroyed = co_await calls_.destroy(id, std::move(rubbish));
    if (!destroyed.ok()) co_return destroyed;
  }
  *all = false;
  co_return kOk;
}

// A damaged record still owns its objects.
bool Mover::is_rubbish(TargetId on, const ObjectId& object) {
  if (target_.moving.contains({owner_of(object), generation_of(object)})) return false;
  InodeRecord record;
  const Status known = read_now(owner_of(object), &record);
  if (!known.ok()) return is_gone(known);
  const Layout& layout = record.inode.layout;
  const std::uint32_t stripe = stripe_index_of(object);
  return layout.generation != generation_of(object) || stripe >= layout.stripe_count() || layout.targets[stripe] != on;
}

}  // namespace rideau::mds
