// SPDX-License-Identifier: Apache-2.0
// What concerns all objects of a file at once: cutting and growing, durability, sizes.
#include "plugins/client/file_data_impl.hpp"

#include "framework/base/limits.hpp"
#include "framework/base/sim_hooks.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

std::map<fs::TargetId, std::vector<std::uint32_t>> FileData::Impl::stripes_by_target() const {
  std::map<fs::TargetId, std::vector<std::uint32_t>> found;
  for (std::uint32_t stripe = 0; stripe < striping.stripe_count(); ++stripe)
    found[striping.target(stripe)].push_back(stripe);
  return found;
}

// Growing needs one object alone: what is not there reads as zeros, and the last byte tells the size. Where space is
// kept all of them grow: a store punches no holes beyond an object's end.
Task<Status> FileData::Impl::resize_objects(std::uint64_t old_size, std::uint64_t size) {
  Gather gather(plane.runtime, plane.tasks);
  for (std::uint32_t stripe = 0; stripe < striping.stripe_count(); ++stripe) {
    const std::uint64_t before = striping.object_size(stripe, old_size);
    const std::uint64_t after = striping.object_size(stripe, size);
    const bool cut = after < before || (size < kept_end && after < striping.object_size(stripe, kept_end));
    const bool grow = size > old_size && (kept_end > 0 || stripe == striping.stripe_at(size - 1));
    if (cut || grow) gather.spawn(reshape(stripe, {Change::resize, {after, after}}));
  }
  co_return co_await gather.join();
}

// What a failed change left beyond the end of the file would show as bytes of what the file grows by.
Task<Status> FileData::Impl::cut_unknown_ends(std::uint64_t size) {
  Gather gather(plane.runtime, plane.tasks);
  for (std::uint32_t stripe = 0; stripe < striping.stripe_count(); ++stripe) {
    const std::uint64_t end = striping.object_size(stripe, size);
    if (stripes[stripe].end_unknown) gather.spawn(reshape(stripe, {Change::resize, {end, end}}));
  }
  co_return co_await gather.join();
}

// Alone behind the gate: nothing is on its way.
Task<Status> FileData::Impl::truncate(std::uint64_t old_size, std::uint64_t size) {
  if (size > bytes_max) co_return posix_error(EFBIG, "truncate");
  if (!RIDEAU_PLANTED_BUG(truncate_keeps_cache)) cut_cache(size, ~0ull);
  const std::uint64_t losses = lock_losses;
  Status resized = co_await cut_unknown_ends(std::min(old_size, size));
  if (losses != lock_losses) resized = posix_error(EIO, "the lock was lost before the file was cut");
  if (resized.ok()) resized = co_await resize_objects(old_size, size);
  if (resized.ok()) kept_end = std::min(kept_end, size);
  co_return resized;
}

// Forgets what is cached of a range, dirty or not.
void FileData::Impl::cut_cache(std::uint64_t begin, std::uint64_t end) {
  ++generation;
  ahead_end = 0;
  blocks.each_from(begin / kBlockBytes, [&](std::uint64_t index, Block& block) {
    const std::uint64_t base = index * kBlockBytes;
    if (base >= end) return;
    const auto from = static_cast<std::uint32_t>(begin > base ? begin - base : 0);
    const auto to = static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlockBytes, end - base));
    undirty(index, block, from, to);
    // What cuts them is made again in their place.
    change_unstable(index, block, [from, to](ByteRanges& unstable) { unstable.remove(from, to); });
    block.valid.remove(from, to);
    blocks.settle(index);
  });
}

Task<Status> FileData::Impl::sync(bool all) {
  const auto by_target = stripes_by_target();
  Gather gather(plane.runtime, plane.tasks);
  for (const auto& [id, own] : by_target) {
    const bool is_last = id == by_target.rbegin()->first;
    if (RIDEAU_PLANTED_BUG(sync_skips_a_target) && is_last) break;
    const bool needed = std::any_of(own.begin(), own.end(), [this](std::uint32_t stripe) {
      return stripes[stripe].durable < stripes[stripe].changes;
    });
    if (!all && !needed) continue;
    gather.spawn(sync_target(id, own));
  }
  co_return co_await gather.join();
}

Task<Status> FileData::Impl::sync_target(fs::TargetId id, std::vector<std::uint32_t> own) {
  DataTarget* target = plane.target(id);
  if (target == nullptr) co_return kNoTarget;
  fs::ObjectSyncRequest request;
  std::vector<DataPlane::Impl::Covered> covered;
  for (const std::uint32_t stripe : own) {
    request.objects.push_back(object(stripe));
    covered.push_back({inode, striping.layout().generation, stripe, stripes[stripe].changes});
  }
  const std::uint64_t epoch = target->epoch;
  const Status synced = co_await target->channel->sync(std::move(request));
  // After a restart in between nobody knows of what it was said.
  if (synced.ok() && target->epoch == epoch) plane.became_durable(std::move(covered));
  co_return synced;
}

Task<Result<FileData::ObjectsStat>> FileData::Impl::stat_objects() {
  const auto by_target = stripes_by_target();
  std::vector<ObjectsStat> stats(by_target.size());
  Gather gather(plane.runtime, plane.tasks);
  std::size_t i = 0;
  for (const auto& [id, own] : by_target) gather.spawn(stat_target(id, own, &stats[i++]));
  const Status looked = co_await gather.join();
  if (!looked.ok()) co_return looked;
  ObjectsStat total;
  for (const ObjectsStat& of_target : stats) {
    total.size = std::max(total.size, of_target.size);
    total.blocks += of_target.blocks;
  }
  co_return total;
}

Task<Status> FileData::Impl::stat_target(fs::TargetId id, std::vector<std::uint32_t> own, ObjectsStat* out) {
  DataTarget* target = plane.target(id);
  if (target == nullptr) co_return kNoTarget;
  fs::ObjectStatRequest request;
  for (const std::uint32_t stripe : own) request.objects.push_back(object(stripe));
  const Result<fs::ObjectStatReply> reply = co_await target->channel->stat(std::move(request));
  if (!reply.ok()) co_return reply.status();
  for (std::size_t i = 0; i < own.size(); ++i) {
    const fs::ObjectStatReply::Item& item = reply->items[i];
    out->size = std::max(out->size, striping.file_size(own[i], item.size));
    out->blocks += item.bytes_used / 512;
    stripes[own[i]].bytes_used = item.bytes_used;
  }
  co_return kOk;
}

}  // namespace rideau::client
