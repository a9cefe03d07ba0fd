// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/destroyer.hpp"

#include "framework/observe/log.hpp"

#include <algorithm>
#include <cinttypes>

namespace rideau::mds {

using namespace fs;

namespace {
constexpr std::size_t kRecordsPerBatch = 128;
constexpr std::uint64_t kGatherNs = 50 * kMillisecond;  // removals come in bursts, and one call takes many objects
constexpr std::uint64_t kRetryFirstNs = 100 * kMillisecond;
constexpr std::uint64_t kRetryLastNs = 5 * kSecond;
}  // namespace

Destroyer::Destroyer(Target& target, ObjectTargets& calls) : target_(target), calls_(calls), rest_(target.runtime) {}

void Destroyer::stop() {
  rest_.stop();
  target_.destroys_wanted.wake_all();
}

Task<> Destroyer::run() {
  std::uint64_t retry_ns = kRetryFirstNs;
  while (!rest_.stopped()) {
    const std::uint64_t seen = target_.destroys_recorded;
    const Status status = co_await pass();
    if (rest_.stopped() || !target_.committer.failure().ok()) break;
    if (!status.ok()) {
      target_.log.warning("objects of removed files: not all are destroyed yet (%s), tried again in %" PRIu64 " ms",
                          code_name(status.code), retry_ns / kMillisecond);
      co_await rest_.sleep(retry_ns);
      retry_ns = std::min(2 * retry_ns, kRetryLastNs);
      continue;
    }
    retry_ns = kRetryFirstNs;
    while (!rest_.stopped() && target_.destroys_recorded == seen) co_await target_.destroys_wanted.wait();
    if (!rest_.stopped()) co_await rest_.sleep(kGatherNs);
  }
}

// One walk over all records there are. A batch that fails stays for the next walk.
Task<Status> Destroyer::pass() {
  // Only what is durable may cost a file its bytes; and what was erased before must not be met again.
  const Status durable = co_await target_.committer.wait_durable(target_.committer.last());
  if (!durable.ok()) co_return durable;
  Status first_failure = kOk;
  Key after(KeyKind::destroy);
  for (bool end = false; !end && !rest_.stopped();) {
    Batch batch;
    const Status read = read_batch(after, &batch);
    if (!read.ok()) co_return read;
    end = batch.end;
    after = batch.last;
    if (batch.records.empty()) continue;
    Status status = co_await destroy_batch(batch);
    if (status.ok()) status = co_await target_.committer.admit(Need::steady);
    if (!status.ok()) {
      if (first_failure.ok()) first_failure = status;
      continue;
    }
    target_.committer.begin_transaction();
    for (const Key& key : batch.records) target_.names.erase(key);
  }
  co_return first_failure;
}

Status Destroyer::read_batch(const Key& after, Batch* batch) {
  Snapshot* snapshot = target_.committer.snapshot();
  if (snapshot == nullptr) return {Code::io_error, EIO, "read the index"};
  batch->last = after;
  std::size_t object_count = 0;
  Bytes key;
  Bytes value;
  Status status = snapshot->seek(after, &key, &value);
  if (status.ok() && compare(key, after) == 0) status = snapshot->next(&key, &value);
  for (; status.ok() && is_kind(key, KeyKind::destroy); status = snapshot->next(&key, &value)) {
    if (batch->records.size() >= kRecordsPerBatch || object_count >= ObjectTargets::kObjectsMax) return kOk;
    InodeId inode = kNoInode;
    std::uint32_t generation = 0;
    DestroyRecord record;
    Status good =
        parse_destroy_key(key, &inode, &generation) ? kOk : Status{Code::corrupt, 0, "key of a destroy record"};
    if (good.ok()) good = decode(key, value, &record);
    if (!good.ok()) {
      target_.log.error("index: a record of objects to destroy cannot be read (%s); run rideau fsck", good.where);
      if (key.size != 13) continue;
    }
    batch->last = destroy_key(inode, generation);
    if (!good.ok() || target_.moving.contains({inode, generation})) continue;
    batch->records.push_back(batch->last);
    object_count += record.targets.size();
    for (std::uint32_t i = 0; i < record.targets.size(); ++i) {
      batch->objects[record.targets[i]].push_back(object_id(inode, generation, i));
    }
  }
  batch->end = true;
  return status.ok() || status.code == Code::not_found ? kOk : status;
}

Task<Status> Destroyer::destroy_batch(Batch& batch) {
  Status first_failure = kOk;
  for (auto& [owner, objects] : batch.objects) {
    for (std::size_t at = 0; at < objects.size() && !rest_.stopped(); at += ObjectTargets::kObjectsMax) {
      const std::size_t count = std::min(objects.size() - at, ObjectTargets::kObjectsMax);
      std::vector<ObjectId> part(objects.begin() + static_cast<std::ptrdiff_t>(at),
                                 objects.begin() + static_cast<std::ptrdiff_t>(at + count));
      const Status status = co_await calls_.destroy(owner, std::move(part));
      if (!status.ok() && first_failure.ok()) first_failure = status;
    }
  }
  if (rest_.stopped() && first_failure.ok()) first_failure = {Code::closed, 0, "target stops"};
  co_return first_failure;
}

}  // namespace rideau::mds
