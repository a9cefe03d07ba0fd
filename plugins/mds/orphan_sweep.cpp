// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/orphan_sweep.hpp"

#include "framework/base/limits.hpp"
#include "framework/observe/log.hpp"

#include <algorithm>
#include <cerrno>
#include <cinttypes>

namespace rideau::mds {

using namespace fs;

namespace {
constexpr std::uint64_t kRetryNs = 2 * kSecond;
// A client learns of the new epoch when it next calls; until then it may write for a file that is gone, and go on with
// a call that it has begun for as long as calls last.
constexpr std::uint64_t kLateWritesNs = 2 * limits::kCallMs * kMillisecond;
}  // namespace

OrphanSweep::OrphanSweep(Target& target, ObjectTargets& calls)
    : target_(target), calls_(calls), rest_(target.runtime) {}

void OrphanSweep::stop() { rest_.stop(); }

Task<> OrphanSweep::run(std::uint64_t end_counter) {
  if (target_.superblock.sweep_from == 0) co_return;
  co_await sweep_until_done(end_counter);
  if (!rest_.stopped()) co_await rest_.sleep(kLateWritesNs);
  if (!rest_.stopped()) co_await sweep_until_done(end_counter);
  if (rest_.stopped()) co_return;
  const Status admitted = co_await target_.committer.admit(Need::steady);
  if (!admitted.ok()) co_return;
  target_.superblock.sweep_from = 0;
  target_.committer.begin_transaction();
  target_.names.put_record(superblock_key(), target_.superblock);
}

// An object target that is away is asked again until it answers.
Task<> OrphanSweep::sweep_until_done(std::uint64_t end_counter) {
  const Superblock& block = target_.superblock;
  const InodeId first = make_inode_id(block.inode_sequence, block.sweep_from);
  const InodeId end = make_inode_id(block.inode_sequence, end_counter);
  destroyed_ = 0;
  const std::vector<TargetId> targets = target_.options.object_targets;  // one that joins meanwhile has none of them
  for (const TargetId from : targets) {
    for (;;) {
      const Status status = co_await sweep(from, first, end);
      const auto& now = target_.options.object_targets;
      if (status.ok() || rest_.stopped() || !std::binary_search(now.begin(), now.end(), from)) break;
      target_.log.debug("objects of lost creates: target %" PRIu32 " does not answer (%s)", from,
                        code_name(status.code));
      co_await rest_.sleep(kRetryNs);
    }
    if (rest_.stopped()) co_return;
  }
  if (destroyed_ != 0) {
    target_.log.info("objects of lost creates: %" PRIu64 " were left by the last crash and are destroyed", destroyed_);
  }
}

Task<Status> OrphanSweep::sweep(TargetId from, InodeId first, InodeId end) {
  // The greatest id that comes before all objects of the first inode.
  ObjectId after{first - 1, ~0ull};
  while (!rest_.stopped()) {
    Result<std::vector<ObjectId>> found = co_await calls_.list(from, after, end);
    if (!found.ok()) co_return found.status();
    if (found->empty()) break;
    after = found->back();
    std::vector<ObjectId> orphans;
    for (const ObjectId& object : *found) {
      InodeRecord record;
      const Status known = target_.names.get(owner_of(object), &record);
      // Nothing but its absence counts: a damaged record still owns its objects.
      if (known.code == Code::posix && known.os_error == ESTALE) orphans.push_back(object);
    }
    if (orphans.empty()) continue;
    const std::size_t count = orphans.size();
    const Status destroyed = co_await calls_.destroy(from, std::move(orphans));
    if (!destroyed.ok()) co_return destroyed;
    destroyed_ += count;
  }
  co_return kOk;
}

}  // namespace rideau::mds
