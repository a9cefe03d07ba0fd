// SPDX-License-Identifier: Apache-2.0
// How a target begins: an empty file system made, a superblock that is ours and of our version, a new boot epoch, and
// what the last run left open or half done.
#include "framework/base/sim_hooks.hpp"
#include "framework/observe/log.hpp"
#include "plugins/mds/mds.hpp"

#include <algorithm>
#include <cinttypes>

namespace rideau::mds {

using namespace fs;

namespace {

constexpr std::size_t kKeysPerPortion = 64;

Status check_options(const Options& options, Logger& log) {
  if (options.target == 0 || options.target > kSequenceMax) {
    log.error("metadata target %" PRIu32 ": ids of metadata targets go from 1 to %" PRIu32, options.target,
              kSequenceMax);
    return {Code::invalid, 0, "id of a metadata target"};
  }
  if (options.object_targets.empty()) {
    log.error("metadata target %" PRIu32 ": the cluster has no object target, where would files go?", options.target);
    return {Code::invalid, 0, "no object targets"};
  }
  return kOk;
}

InodeRecord root_record(std::int64_t now_ns, const Options& options) {
  InodeRecord root;
  root.inode.id = kRootInode;
  root.inode.mode = S_IFDIR | 0755;
  root.inode.uid = options.root_uid;
  root.inode.gid = options.root_gid;
  root.inode.link_count = 2;
  root.inode.atime_ns = root.inode.mtime_ns = root.inode.ctime_ns = root.inode.birth_ns = now_ns;
  root.link_parent = root.inode.parent = kRootInode;  // ".." of the root is the root
  return root;
}

}  // namespace

// Code::not_found when there is none; what is wrong with one that is there is logged.
Status Mds::read_superblock(Superblock* to, Counters* counters) {
  Logger& log = target_.log;
  Snapshot* snapshot = target_.committer.snapshot();
  if (snapshot == nullptr) return {Code::io_error, EIO, "read the index"};
  const Key key = superblock_key();
  Bytes value;
  Status status = snapshot->get(key, &value);
  if (!status.ok()) return status;
  status = decode(key, value, to);
  if (status.code == Code::refused) {
    log.error("metadata target %" PRIu32 ": its data was made by a newer version of Rideau (format %" PRIu32
              ", this one knows up to %" PRIu32 "); nothing was touched, use the newer version",
              target_.options.target, to->format_version, kFormatVersion);
    return status;
  }
  if (!status.ok()) {
    log.error("metadata target %" PRIu32 ": its superblock is damaged (%s)", target_.options.target, status.where);
    return status;
  }
  if (to->cluster != target_.options.cluster || to->target != target_.options.target) {
    log.error("the index holds metadata target %" PRIu32 " of cluster %s, and not %" PRIu32
              " of %s; check the path in the configuration",
              to->target, to_text(to->cluster).c_str(), target_.options.target,
              to_text(target_.options.cluster).c_str());
    return {Code::refused, 0, "index of another target"};
  }
  const Key counters_at = counters_key();
  status = snapshot->get(counters_at, &value);
  if (status.ok()) status = decode(counters_at, value, counters);
  if (!status.ok()) log.error("metadata target %" PRIu32 ": its counters are damaged", target_.options.target);
  return status.code == Code::not_found ? Status{Code::corrupt, 0, "counters are missing"} : status;
}

// Whatever comes of it, no snapshot is kept open meanwhile: the index may be stopped next.
Task<Status> Mds::format() {
  const Status status = co_await format_empty();
  target_.committer.forget_snapshot();
  co_return status;
}

Task<Status> Mds::start() {
  const Status status = co_await start_formatted();
  if (!status.ok()) target_.committer.forget_snapshot();
  co_return status;
}

Task<Status> Mds::format_empty() {
  if (const Status status = check_options(target_.options, target_.log); !status.ok()) co_return status;
  Superblock block;
  Counters counters;
  const Status present = read_superblock(&block, &counters);
  if (present.code != Code::not_found) co_return present;
  IndexSpace space;
  if (const Status status = index_.space(&space); !status.ok()) co_return status;
  if (space.entry_count != 0) {
    target_.log.error("metadata target %" PRIu32 ": the index is not empty and holds no file system of Rideau",
                      target_.options.target);
    co_return Status{Code::refused, 0, "index of something else"};
  }

  block.cluster = target_.options.cluster;
  block.target = target_.options.target;
  block.hash_seed = random64(target_.runtime);
  block.inode_sequence = target_.options.target;
  block.counter_reserved = 1;
  block.made_ns = target_.runtime.wall_ns();
  counters.inodes = 1;
  counters.next_counter = block.counter_reserved;
  const Key keys[] = {superblock_key(), counters_key(), inode_key(kRootInode)};
  RecordBuffer records[3];
  encode(block, keys[0], records[0]);
  encode(counters, keys[1], records[1]);
  encode(root_record(block.made_ns, target_.options), keys[2], records[2]);
  Edit edits[3];
  for (int i = 0; i < 3; ++i) edits[i] = {Edit::Kind::put, keys[i], Bytes(records[i].data(), records[i].size())};
  IndexBatch batch;
  batch.edits = edits;
  batch.edit_count = 3;
  Outcome done = co_await submit([&](Completion& c) { return index_.commit(&batch, 1, Durability::durable, c); });
  if (done.status.ok()) done.status = batch.status;
  if (done.status.ok()) {
    target_.log.info("metadata target %" PRIu32 ": made an empty file system in cluster %s", block.target,
                     to_text(block.cluster).c_str());
  }
  co_return done.status;
}

Task<Status> Mds::start_formatted() {
  if (const Status status = check_options(target_.options, target_.log); !status.ok()) co_return status;
  Counters counters;
  Superblock& block = target_.superblock;
  Status status = read_superblock(&block, &counters);
  if (status.code == Code::not_found) {
    target_.log.error("metadata target %" PRIu32 ": the index holds no file system", target_.options.target);
    co_return Status{Code::refused, 0, "no file system in the index"};
  }
  if (!status.ok()) co_return status;
  target_.names.set_hash_seed(block.hash_seed);
  // Every create that is durable has a number below the counter that its group tells; the others were lost.
  if (counters.next_counter != 0) {
    const std::uint64_t lost_from = std::min(counters.next_counter, block.counter_reserved);
    block.sweep_from = block.sweep_from != 0 ? std::min(block.sweep_from, lost_from) : lost_from;
  }
  target_.next_counter = RIDEAU_PLANTED_BUG(inode_numbers_come_again) ? counters.next_counter : block.counter_reserved;
  block.counter_reserved = std::min(block.counter_reserved + kCountersReserved, kCounterMax);
  counters.next_counter = target_.next_counter;
  status = target_.committer.start(counters);
  if (!status.ok()) co_return status;

  status = mover_.load();
  if (!status.ok()) co_return status;
  status = co_await load_sessions();
  auto& inline_max = target_.options.inline_max;
  if (inline_max.value_or(0) != 0) block.format_version = std::max(block.format_version, kFormatWithInline);
  if (!inline_max) inline_max = block.format_version >= kFormatWithInline ? kInlineMaxUsual : 0;
  const bool recovers = !restored_.empty();
  // Without clients of before there is nobody who has anything open.
  if (status.ok() && !recovers) status = co_await purge_open_unlinked();
  if (status.ok()) status = co_await target_.committer.admit(Need::steady);
  if (!status.ok()) co_return status;
  ++block.boot_epoch;
  target_.names.put_record(superblock_key(), block);
  const std::uint64_t upto = target_.committer.begin_transaction();
  status = co_await target_.committer.wait_durable(upto);
  if (!status.ok()) co_return status;
  started_ = true;
  locks_.number_from(block.boot_epoch << kGrantsPerEpochBits);
  divided_.extents().number_from(block.boot_epoch << kGrantsPerEpochBits);
  tasks_.spawn(destroyer_.run());
  tasks_.spawn(space_watch_.run());
  sweep_end_ = target_.next_counter;
  if (!recovers) tasks_.spawn(orphan_sweep_.run(sweep_end_));
  if (!recovers) tasks_.spawn(mover_.run());
  target_.log.info("metadata target %" PRIu32 ": started, boot epoch %" PRIu64 ", %" PRIu64 " inodes", block.target,
                   block.boot_epoch, counters.inodes);
  if (recovers) begin_recovery();
  co_return kOk;
}

// The next keys of a kind behind `after`, of what is durable.
std::vector<std::string> Mds::keys_of(KeyKind kind, const std::string& after) {
  std::vector<std::string> keys;
  Snapshot* snapshot = target_.committer.snapshot();
  if (snapshot == nullptr) return keys;
  const Key prefix(kind);
  Bytes key;
  Bytes value;
  const Bytes from = after.empty() ? Bytes(prefix) : Bytes(std::string_view(after));
  Status status = snapshot->seek(from, &key, &value);
  for (; status.ok() && is_kind(key, kind) && keys.size() < kKeysPerPortion; status = snapshot->next(&key, &value)) {
    if (key.view() != after) keys.emplace_back(key.view());
  }
  return keys;
}

Task<Status> Mds::purge_open_unlinked() {
  std::string after;
  for (;;) {
    const std::vector<std::string> keys = keys_of(KeyKind::open_unlinked, after);
    if (keys.empty()) co_return kOk;
    for (const std::string& key : keys) {
      const Status status = co_await target_.committer.admit(Need::steady);
      if (!status.ok()) co_return status;
      Transaction transaction(target_);
      transaction.begin();
      std::uint64_t inode = 0;
      InodeRecord record;
      const bool there = parse_id_key(KeyKind::open_unlinked, Bytes(std::string_view(key)), &inode) &&
                         target_.names.get(inode, &record).ok();
      if (there && target_.opens.is_open(inode)) continue;  // a client claimed it
      RIDEAU_MARK(orphan_purged);
      target_.committer.erase(Bytes(std::string_view(key)));
      if (there && record.inode.link_count == 0) transaction.purge(record);
    }
    after = keys.back();
  }
}

}  // namespace rideau::mds
