// SPDX-License-Identifier: Apache-2.0
// Writing: into the cache as far as grants go, else straight to the targets, which brings the next grant.
#include "plugins/client/file_data_impl.hpp"

#include "framework/base/sim_hooks.hpp"
#include "framework/rpc/call.hpp"
#include "plugins/fs/object_parts.hpp"

#include <algorithm>

namespace rideau::client {

Task<Result<std::uint64_t>> FileData::Impl::write(std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                                                  std::uint64_t size, const Buffers* lent) {
  const Source whole{{data, data + parts}, lent, offset};
  const std::uint64_t losses = lock_losses;
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t begin = offset + done;
    const std::uint64_t end = begin + std::min(size - done, kSendBytes - begin % kSendBytes);
    const Source source = whole.slice(done, end - begin);
    co_await wait_for_room(begin, end);
    if (losses != lock_losses) {
      if (done == 0) co_return rpc::kNeverSent;
      co_return posix_error(EIO, "the lock was lost in the middle of a write");
    }
    if (charge(begin, end)) {
      const bool was_over = plane.over_background();
      take_in(begin, end, source, true);
      plane.cache.make_room();
      if (plane.over_background()) {
        const std::uint64_t chunk = begin / kSendBytes * kSendBytes;
        start_sends(DataPlane::Impl::Send::full, kAnyStamp, was_over ? chunk : 0,
                    was_over ? chunk + kSendBytes : ~0ull);
      }
      if (plane.dirty_total > plane.options.dirty_bytes_max / 2) plane.write_back_oldest();
    } else {
      Status failure{};
      const std::uint64_t safe = co_await write_through(begin, end, source, &failure);
      if (!failure.ok()) {
        if (done + safe == 0) co_return failure;
        co_return done + safe;
      }
    }
    done += end - begin;
  }
  co_return size;
}

FileData::Impl::Source FileData::Impl::Source::slice(std::uint64_t skip, std::uint64_t size) const {
  Source piece{{}, lent, lent_begin};
  fs::slice_parts(parts.data(), static_cast<std::uint32_t>(parts.size()), skip, size, ~std::size_t{0}, piece.parts);
  return piece;
}

bool FileData::Impl::writing_through(std::uint64_t begin, std::uint64_t end) const noexcept {
  return std::any_of(through.begin(), through.end(), [&](const Range& range) { return range.overlaps(begin, end); });
}

// Until the write can go into the cache without breaking its bounds.
Task<> FileData::Impl::wait_for_room(std::uint64_t begin, std::uint64_t end) {
  for (;;) {
    const bool too_dirty = plane.dirty_total > 0 && plane.dirty_total + (end - begin) > plane.options.dirty_bytes_max;
    const std::uint64_t kept = plane.dirty_total + plane.unstable_total;
    const bool too_unstable = kept > 0 && kept + (end - begin) > plane.options.unstable_bytes_max;
    const bool too_full = kept > 0 && plane.cache.stuck();
    if (too_dirty || too_full || too_unstable) {
      start_sends(DataPlane::Impl::Send::all, kAnyStamp);
      plane.write_back_oldest();
      if (too_full || too_unstable) plane.stabilize();
    } else if (!writing_through(begin, end)) {
      co_return;
    }
    co_await plane.progress.wait();
  }
}

// Takes the grants that the pages need which are not dirty yet; false, and nothing taken, when a target has not enough.
bool FileData::Impl::charge(std::uint64_t begin, std::uint64_t end) {
  std::map<fs::TargetId, std::uint64_t> needs;
  for (std::uint64_t at = begin; at < end;) {
    const std::uint64_t index = at / kBlockBytes;
    const std::uint64_t stop = std::min((index + 1) * kBlockBytes, end);
    const Block* block = blocks.find(index);
    ByteRanges dirty;
    if (block != nullptr) dirty = block->dirty;
    const std::uint32_t before = dirty.units(kPageBytes);
    dirty.add(static_cast<std::uint32_t>(at - index * kBlockBytes),
              static_cast<std::uint32_t>(stop - index * kBlockBytes));
    needs[striping.target(striping.stripe_at(at))] += std::uint64_t{dirty.units(kPageBytes) - before} * kPageBytes;
    at = stop;
  }
  for (const auto& [id, bytes] : needs) {
    const DataTarget* target = plane.target(id);
    if (target == nullptr || target->grant < bytes) return false;
  }
  for (const auto& [id, bytes] : needs) {
    DataTarget* target = plane.target(id);
    target->grant -= bytes;
    target->held += bytes;
  }
  return true;
}

void FileData::Impl::take_in(std::uint64_t begin, std::uint64_t end, const Source& source, bool dirty_in) {
  fs::PartsCursor cursor(source.parts.data(), static_cast<std::uint32_t>(source.parts.size()));
  for (std::uint64_t at = begin; at < end;) {
    const std::uint64_t index = at / kBlockBytes;
    const auto from = static_cast<std::uint32_t>(at % kBlockBytes);
    const auto to = static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlockBytes, end - index * kBlockBytes));
    Block& block = blocks.get(index);
    const std::shared_ptr<Buffer>* lent = from == 0 && to == kBlockBytes ? source.whole_block(at) : nullptr;
    if (lent != nullptr) {
      block.buffer = *lent;
      block.buffer->count();
      cursor.skip(kBlockBytes);
    } else {
      cursor.copy_out(blocks.writable(block, from, to), to - from);
      plane.copied_bytes += to - from;
    }
    block.valid.add(from, to);
    if (dirty_in) {
      const std::uint64_t fresh = to - from - block.dirty.count(from, to);
      if (block.dirty.empty()) {
        block.dirty_stamp = stamp;
        dirty_blocks.insert(index);
      }
      block.dirty.add(from, to);
      if (dirty_bytes == 0 && fresh > 0) plane.became_dirty(*this);
      dirty_bytes += fresh;
      plane.dirty_total += fresh;
    }
    blocks.settle(index);
    at = index * kBlockBytes + to;
  }
}

Task<> FileData::Impl::wait_until_clean(std::uint64_t begin, std::uint64_t end) {
  for (;;) {
    bool clean = !writing_through(begin, end);
    for (std::uint64_t index = begin / kBlockBytes; clean && index <= (end - 1) / kBlockBytes; ++index) {
      const Block* block = blocks.find(index);
      clean = block == nullptr || (block->dirty.empty() && block->sending.empty());
    }
    if (clean) co_return;
    start_sends(DataPlane::Impl::Send::all, kAnyStamp, begin / kBlockBytes * kBlockBytes,
                (end + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
    co_await plane.progress.wait();
  }
}

Task<std::uint64_t> FileData::Impl::write_through(std::uint64_t begin, std::uint64_t end, const Source& source,
                                                  Status* failure) {
  const std::uint64_t losses = lock_losses;
  co_await wait_until_clean(begin, end);
  if (losses != lock_losses) {
    *failure = rpc::kNeverSent;
    co_return 0;
  }
  const auto place = through.insert(through.end(), {begin, end});
  std::vector<Segment> segments;
  for (std::uint64_t at = begin; at < end; at += segments.back().size)
    segments.push_back(striping.segment_at(at, end - at));
  std::vector<Status> results;
  std::uint64_t before = 0;
  do {  // also what a restart lost while others of these were on their way
    co_await until_remade();
    before = epochs();
    Gather gather(plane.runtime, plane.tasks);
    for (std::size_t i = 0; i < segments.size(); ++i) {
      Source piece = source.slice(segments[i].file_offset - begin, segments[i].size);
      gather.spawn(write_segment(segments[i], std::move(piece.parts)));
    }
    static_cast<void>(co_await gather.join());
    results = gather.results();
    if (before != epochs()) RIDEAU_MARK(write_through_met_restart);
  } while (before != epochs());
  std::uint64_t safe = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::uint64_t at = segments[i].file_offset;
    if (results[i].ok()) {
      take_in(at, at + segments[i].size, source.slice(at - begin, segments[i].size), false);
      acknowledged(segments[i]);
      if (failure->ok()) safe += segments[i].size;
      continue;
    }
    if (failure->ok()) *failure = results[i];
    for (std::uint64_t from = at; from < at + segments[i].size;) {  // old or new bytes: the target knows
      const std::uint64_t index = from / kBlockBytes;
      const std::uint64_t stop = std::min((index + 1) * kBlockBytes, at + segments[i].size);
      if (Block* block = blocks.find(index); block != nullptr) {
        const auto gone_from = static_cast<std::uint32_t>(from - index * kBlockBytes);
        const auto gone_to = static_cast<std::uint32_t>(stop - index * kBlockBytes);
        forget_unstable(index, *block, gone_from, gone_to);
        block->valid.remove(gone_from, gone_to);
        blocks.settle(index);
      }
      from = stop;
    }
  }
  through.erase(place);
  plane.cache.make_room();
  plane.progress.wake_all();
  co_return safe;
}

Task<Status> FileData::Impl::write_segment(Segment segment, std::vector<IoVec> parts) {
  DataTarget* target = target_of(segment.stripe);
  if (target == nullptr) co_return kNoTarget;
  const std::uint64_t epoch = target->epoch;
  const std::uint64_t wanted = target->grant_to_ask(plane.options.dirty_bytes_max);
  // What is left of the grant was too little: it goes back, so that nothing but this write decides whether it fits.
  target->returned += std::exchange(target->grant, 0);
  const fs::ObjectWriteRequest request{object(segment.stripe), segment.object_offset, wanted,
                                       std::exchange(target->returned, 0)};
  target->asked += wanted;
  const Result<fs::ObjectWriteReply> done =
      co_await target->channel->write(request, parts.data(), static_cast<std::uint32_t>(parts.size()));
  if (target->epoch == epoch) {
    target->asked -= wanted;
    if (done.ok()) target->grant += done->grant;
  }
  if (done.ok()) wrote(segment.stripe, done->bytes_used);
  co_return done.status();
}

}  // namespace rideau::client
