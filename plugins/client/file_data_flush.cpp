// SPDX-License-Identifier: Apache-2.0
// Writing back: contiguous dirty bytes go out in requests of up to 1 MiB, several at once. What is on its way stays
// readable; a block that is written meanwhile gets a buffer of its own (BlockMap::writable) and waits for its turn.
#include "plugins/client/file_data_impl.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

namespace {
constexpr std::size_t kRunsMax = 64;  // more than targets take at once: what is behind them has its turn later
}  // namespace

// The first contiguous dirty bytes in [begin, end), cut at multiples of kSendBytes; empty: there are none. Blocks on
// their way are left out: two requests with the same bytes could overtake each other.
FileData::Impl::Range FileData::Impl::next_run(std::uint64_t stamp_max, std::uint64_t begin, std::uint64_t end) {
  Range run;
  for (auto at = dirty_blocks.lower_bound(begin / kBlockBytes); at != dirty_blocks.end(); ++at) {
    const std::uint64_t base = *at * kBlockBytes;
    if (base >= end || (run.end != 0 && base > run.end)) break;
    const Block& block = *blocks.find(*at);
    const bool goes_on = begin > base;  // what is on its way began with the run before this one
    if ((!block.sending.empty() && !goes_on) || block.dirty_stamp > stamp_max) continue;
    for (const ByteRange& range : block.dirty.list()) {
      if (base + range.end <= begin) continue;
      const Range next{std::max(base + range.begin, begin), base + range.end};
      if (run.end != 0 && (run.end != next.begin || next.begin % kSendBytes == 0)) return run;
      run = {run.end != 0 ? run.begin : next.begin, next.end};
    }
  }
  return run;
}

void FileData::Impl::start_sends(DataPlane::Impl::Send which, std::uint64_t stamp_max, std::uint64_t begin,
                                 std::uint64_t end) {
  if (inline_max != 0) {
    if (which == DataPlane::Impl::Send::all && dirty_bytes != 0) plane.inline_home->inline_due(inode);
    return;
  }
  const std::uint64_t full = std::min<std::uint64_t>(kSendBytes, striping.layout().stripe_size);
  for (std::size_t looked_at = 0; !dirty_blocks.empty(); ++looked_at) {
    if (looked_at == kRunsMax || plane.saturated()) return;
    const Range run = next_run(stamp_max, begin, end);
    if (run.end == 0) return;
    begin = run.end;
    for (std::uint64_t at = run.begin; at < run.end;) {
      const Segment segment = striping.segment_at(at, run.end - at);
      at += segment.size;
      const bool is_full = segment.file_offset % full == 0 && segment.size % full == 0;
      if (which == DataPlane::Impl::Send::full && !is_full) continue;
      const bool may_go = target_of(segment.stripe)->sends < kSendsPerTarget && !stripes[segment.stripe].remaking;
      if (may_go) start_send(segment);
    }
  }
}

void FileData::Impl::start_send(const Segment& segment) {
  std::vector<IoVec> parts;
  std::vector<std::shared_ptr<Buffer>> buffers;
  std::uint64_t space = 0;
  for (std::uint64_t at = segment.file_offset; at < segment.file_offset + segment.size;) {
    const std::uint64_t index = at / kBlockBytes;
    const auto from = static_cast<std::uint32_t>(at % kBlockBytes);
    const auto to = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(kBlockBytes, segment.file_offset + segment.size - index * kBlockBytes));
    Block& block = *blocks.find(index);
    parts.push_back({block.buffer->at(from), to - from});
    buffers.push_back(block.buffer);
    block.sending_stamp = block.sending.empty() ? block.dirty_stamp : std::min(block.sending_stamp, block.dirty_stamp);
    block.sending.add(from, to);
    space += block.dirty_space();
    block.dirty.remove(from, to);
    space -= block.dirty_space();
    if (block.dirty.empty()) dirty_blocks.erase(index);
    sending_blocks.insert(index);
    at = index * kBlockBytes + to;
  }
  dirty_bytes -= segment.size;
  sending_bytes += segment.size;
  if (dirty_bytes == 0) plane.all_sent(*this);
  ++target_of(segment.stripe)->sends;
  gate.enter_inside();
  plane.tasks.spawn(send(segment, space, target_of(segment.stripe)->epoch, std::move(parts), std::move(buffers)));
}

// `space` is held for these bytes since that epoch of the target.
Task<> FileData::Impl::send(Segment segment, std::uint64_t space, std::uint64_t epoch, std::vector<IoVec> parts,
                            std::vector<std::shared_ptr<Buffer>> buffers) {
  // A call that ends at once must not start others while its starter still walks over what is dirty.
  co_await yield_now(plane.runtime);
  co_await until_remade(segment.stripe);
  DataTarget* target = target_of(segment.stripe);
  if (target->epoch != epoch) space = 0;  // what was held then means nothing any more
  epoch = target->epoch;
  const std::uint64_t used = target->unhold(space) + std::exchange(target->returned, 0);
  target->held += space;  // while they are on their way
  const std::uint64_t wanted = target->grant_to_ask(plane.options.dirty_bytes_max);
  const fs::ObjectWriteRequest request{object(segment.stripe), segment.object_offset, wanted, used};
  target->asked += wanted;
  const Result<fs::ObjectWriteReply> done =
      co_await target->channel->write(request, parts.data(), static_cast<std::uint32_t>(parts.size()));
  if (target->epoch == epoch) {
    target->asked -= wanted;
    target->held -= std::min(space, target->held);
    if (done.ok()) target->grant += done->grant;
    // A full target: later writes go straight to it, so that they are told.
    if (done.status().code == Code::no_space) target->returned += std::exchange(target->grant, 0);
  }
  buffers.clear();
  --target->sends;
  if (done.ok()) wrote(segment.stripe, done->bytes_used);
  // Whether it was the server before a restart that took it, nobody knows.
  sent(segment, done.status(), target->epoch != epoch);
  leave();
  plane.kick(*this);
}

void FileData::Impl::sent(const Segment& segment, Status status, bool restarted) {
  for (std::uint64_t at = segment.file_offset; at < segment.file_offset + segment.size;) {
    const std::uint64_t index = at / kBlockBytes;
    const auto from = static_cast<std::uint32_t>(at % kBlockBytes);
    const auto to = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(kBlockBytes, segment.file_offset + segment.size - index * kBlockBytes));
    Block& block = *blocks.find(index);
    if (status.ok()) {
      acknowledged(index, block, from, to);
      if (restarted) {
        const std::uint64_t before = block.dirty_space();
        make_dirty_again(index, block);
        hold_without_grant(*target_of(segment.stripe), block.dirty_space() - before);
      }
    } else {
      block.sending.remove(from, to);
      if (block.sending.empty()) sending_blocks.erase(index);
      for (const ByteRange& gone : block.dirty.gaps(from, to)) {
        forget_unstable(index, block, gone.begin, gone.end);
        block.valid.remove(gone.begin, gone.end);
      }
    }
    blocks.settle(index);
    at = index * kBlockBytes + to;
  }
  sending_bytes -= segment.size;
  plane.dirty_total -= segment.size;
  plane.cache.make_room();
  if (!status.ok()) keep_error(status);
}

bool FileData::Impl::has_older(std::uint64_t stamp_max, std::uint64_t begin, std::uint64_t end) {
  if (inline_max != 0) return false;  // nothing for objects
  const auto older = [&](std::uint64_t index) {
    const Block& block = *blocks.find(index);
    return (!block.dirty.empty() && block.dirty_stamp <= stamp_max) ||
           (!block.sending.empty() && block.sending_stamp <= stamp_max);
  };
  const auto any_older = [&](const std::set<std::uint64_t>& indexes) {
    return std::any_of(indexes.lower_bound(begin / kBlockBytes), indexes.lower_bound((end - 1) / kBlockBytes + 1),
                       older);
  };
  return any_older(dirty_blocks) || any_older(sending_blocks);
}

Task<Status> FileData::Impl::flush(std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t now = stamp++;
  const std::uint64_t failures_before = failures;
  for (;;) {
    co_await until_remade();
    start_sends(DataPlane::Impl::Send::all, now, begin, end);
    if (!has_older(now, begin, end)) break;
    co_await plane.progress.wait();
  }
  co_return failures == failures_before ? kOk : last_failure;
}

}  // namespace rideau::client
