// SPDX-License-Identifier: Apache-2.0
// Reading: what is not cached is fetched in requests that run side by side, ahead of a sequential reader too. An answer
// fills only bytes that are not valid when it arrives, so a write that came meanwhile wins.
#include "plugins/client/file_data_impl.hpp"

#include "framework/base/limits.hpp"

#include <algorithm>

namespace rideau::client {

namespace {

constexpr std::uint64_t kAheadFirst = 512 * 1024;
constexpr std::uint64_t kAheadSlack = 1 << 20;  // reads of one sequential reader may come out of order by so much

constexpr std::uint64_t round_down(std::uint64_t value, std::uint64_t unit) { return value / unit * unit; }
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t unit) { return (value + unit - 1) / unit * unit; }

}  // namespace

Task<Result<std::uint64_t>> FileData::Impl::read(std::uint64_t offset, std::uint64_t size, std::uint64_t file_size,
                                                 ReadSink& sink) {
  std::vector<Block*> pinned;
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t begin = offset + done;
    const std::uint64_t end = begin + std::min(size - done, kReadPieceBytes);
    const std::uint64_t first = begin / kBlockBytes;
    pinned.clear();
    for (std::uint64_t index = first; index <= (end - 1) / kBlockBytes; ++index) {
      pinned.push_back(&blocks.pin(index));
    }
    Status status{};
    if (all_valid(pinned, begin, end)) {
      read_ahead(begin, end, file_size);
    } else {
      status = co_await make_valid(begin, end, file_size);
    }
    if (status.ok()) hand_out(pinned, begin, end, sink);
    for (std::size_t i = 0; i < pinned.size(); ++i) blocks.unpin(first + i, *pinned[i]);
    plane.cache.make_room();
    // Not what was read before it: a short count would pass for the end of the file.
    if (!status.ok()) co_return status;
    done += end - begin;
  }
  co_return size;
}

bool FileData::Impl::all_valid(const std::vector<Block*>& pinned, std::uint64_t begin, std::uint64_t end) noexcept {
  std::uint64_t base = begin / kBlockBytes * kBlockBytes;
  for (const Block* block : pinned) {
    const auto from = static_cast<std::uint32_t>(begin > base ? begin - base : 0);
    const auto to = static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlockBytes, end - base));
    if (!block->valid.covers(from, to)) return false;
    base += kBlockBytes;
  }
  return true;
}

void FileData::Impl::hand_out(const std::vector<Block*>& pinned, std::uint64_t begin, std::uint64_t end,
                              ReadSink& sink) {
  IoVec parts[kReadPieceBytes / kBlockBytes + 1];
  std::uint32_t count = 0;
  for (const Block* block : pinned) {
    const auto inside = static_cast<std::uint32_t>(begin % kBlockBytes);
    const std::uint64_t size = std::min<std::uint64_t>(kBlockBytes - inside, end - begin);
    parts[count++] = {block->buffer->at(inside), size};
    begin += size;
  }
  sink.take(parts, count);
}

// Ranges that are not valid, from front to back.
std::vector<FileData::Impl::Range> FileData::Impl::missing(std::uint64_t begin, std::uint64_t end) {
  std::vector<Range> found;
  while (begin < end) {
    const std::uint64_t index = begin / kBlockBytes;
    const std::uint64_t base = index * kBlockBytes;
    const std::uint64_t stop = std::min(base + kBlockBytes, end);
    const Block* block = blocks.find(index);
    const auto from = static_cast<std::uint32_t>(begin - base);
    const auto to = static_cast<std::uint32_t>(stop - base);
    const std::vector<ByteRange> gaps =
        block != nullptr ? block->valid.gaps(from, to) : std::vector<ByteRange>{{from, to}};
    for (const ByteRange& gap : gaps) {
      if (!found.empty() && found.back().end == base + gap.begin) {
        found.back().end = base + gap.end;
      } else {
        found.push_back({base + gap.begin, base + gap.end});
      }
    }
    begin = stop;
  }
  return found;
}

Task<Status> FileData::Impl::make_valid(std::uint64_t begin, std::uint64_t end, std::uint64_t file_size) {
  bool first = true;
  for (;;) {
    const std::vector<Range> gaps = missing(begin, end);
    std::vector<std::shared_ptr<Fetch>> started;
    for (const Range& gap : gaps) start_fetches(gap.begin, gap.end, file_size, &started);
    if (first) read_ahead(begin, end, file_size);
    first = false;
    if (gaps.empty()) co_return kOk;
    std::vector<std::shared_ptr<Fetch>> awaited;
    for (const std::shared_ptr<Fetch>& one : fetches) {
      const bool needed = std::any_of(gaps.begin(), gaps.end(),
                                      [&](const Range& gap) { return gap.overlaps(one->range.begin, one->range.end); });
      if (needed) awaited.push_back(one);
    }
    for (const std::shared_ptr<Fetch>& one : awaited) co_await one->done.wait();
    // What somebody else's request failed for is asked for once more, by us.
    for (const std::shared_ptr<Fetch>& one : started) {
      if (!one->status.ok()) co_return one->status;
    }
  }
}

void FileData::Impl::start_fetches(std::uint64_t begin, std::uint64_t end, std::uint64_t file_size,
                                   std::vector<std::shared_ptr<Fetch>>* started) {
  // Whole pages, since the neighbours are read next; beyond the end of the file there are only zeros.
  if (inline_max != 0) {  // it comes in one piece
    begin = 0;
    end = file_size;
  }
  begin = round_down(begin, kPageBytes);
  end = std::min(round_up(end, kPageBytes), round_up(file_size, kPageBytes));
  while (begin < end) {
    // Skip what is on its way.
    bool moved = false;
    std::uint64_t stop = std::min(end, round_down(begin, kSendBytes) + kSendBytes);
    for (const std::shared_ptr<Fetch>& one : fetches) {
      if (one->generation != generation) continue;
      if (one->range.begin <= begin && begin < one->range.end) {
        begin = one->range.end;
        moved = true;
        break;
      }
      if (one->range.begin > begin) stop = std::min(stop, one->range.begin);
    }
    if (moved) continue;
    const Segment segment = striping.segment_at(begin, stop - begin);
    std::shared_ptr<Fetch> one = start_fetch(segment);
    if (started != nullptr) started->push_back(std::move(one));
    begin += segment.size;
  }
}

std::shared_ptr<FileData::Impl::Fetch> FileData::Impl::start_fetch(const Segment& segment) {
  auto started = std::make_shared<Fetch>(plane.runtime);
  started->range = {segment.file_offset, segment.file_offset + segment.size};
  started->generation = generation;
  fetches.push_back(started);
  gate.enter_inside();
  plane.cache_size.used();
  // Pinned, so that a block written and evicted meanwhile does not look as if nobody had written it.
  for (std::uint64_t index = segment.file_offset / kBlockBytes; index <= (started->range.end - 1) / kBlockBytes;
       ++index) {
    blocks.pin(index);
  }
  plane.tasks.spawn(fetch(started, segment));
  return started;
}

Task<> FileData::Impl::fetch(std::shared_ptr<Fetch> self, Segment segment) {
  std::vector<std::shared_ptr<Buffer>> buffers;
  std::vector<IoVec> room;
  for (std::uint64_t at = self->range.begin; at < self->range.end;) {
    const auto from = static_cast<std::uint32_t>(at % kBlockBytes);
    const auto to = static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlockBytes, from + self->range.end - at));
    buffers.push_back(plane.cache.make_buffer(from, to));
    room.push_back({buffers.back()->at(from), to - from});
    at += to - from;
  }
  DataTarget* target = target_of(segment.stripe);
  if (target == nullptr) {
    self->status = kNoTarget;
  } else {
    co_await until_remade(segment.stripe);
    const fs::ObjectReadRequest request{object(segment.stripe), segment.object_offset, segment.size};
    Result<std::uint64_t> got = posix_error(EIO);
    if (inline_max != 0) {
      got = co_await fetch_inline(self->range.begin, room);
    } else {
      got = co_await target->channel->read(request, room.data(), static_cast<std::uint32_t>(room.size()));
    }
    self->status = got.status();
    std::uint64_t arrived = got.ok() ? *got : 0;
    for (const IoVec& part : room) {
      const std::uint64_t here = std::min<std::uint64_t>(arrived, part.size);
      std::memset(static_cast<std::uint8_t*>(part.base) + here, 0, part.size - here);
      arrived -= here;
    }
  }
  if (self->status.ok() && self->generation == generation) keep_fetched(*self, buffers);
  for (std::uint64_t index = self->range.begin / kBlockBytes; index <= (self->range.end - 1) / kBlockBytes; ++index) {
    blocks.unpin(index, *blocks.find(index));
  }
  buffers.clear();
  fetches.remove(self);
  self->done.set();
  plane.cache.make_room();
  leave();
}

void FileData::Impl::keep_fetched(const Fetch& done, const std::vector<std::shared_ptr<Buffer>>& buffers) {
  std::uint64_t at = done.range.begin;
  for (const std::shared_ptr<Buffer>& buffer : buffers) {
    const std::uint64_t index = at / kBlockBytes;
    const auto from = static_cast<std::uint32_t>(at % kBlockBytes);
    const auto to =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(kBlockBytes, done.range.end - index * kBlockBytes));
    Block& block = *blocks.find(index);
    if (block.valid.empty()) {
      block.buffer = buffer;
    } else {
      std::uint8_t* bytes = blocks.writable(block, from, to);
      for (const ByteRange& gap : block.valid.gaps(from, to)) {
        plane.copied_bytes += gap.end - gap.begin;
        std::memcpy(bytes + (gap.begin - from), buffer->at(gap.begin), gap.end - gap.begin);
      }
    }
    block.valid.add(from, to);
    at += to - from;
  }
}

void FileData::Impl::read_ahead(std::uint64_t offset, std::uint64_t end, std::uint64_t file_size) {
  const bool sequential = offset + kAheadSlack >= next_read && offset <= next_read + kAheadSlack;
  const std::uint64_t window_max = std::min(plane.options.read_ahead_bytes, plane.cache.bytes_max() / 4);
  next_read = sequential ? std::max(end, next_read) : end;
  if (!sequential) {
    ahead_window = 0;
    ahead_end = 0;
    return;
  }
  ahead_window = std::min(std::max(ahead_window * 2, kAheadFirst), window_max);
  if (ahead_window == 0) return;
  // The window is kept full, a request at a time: who waits until half of it is used up has the targets rest while what
  // they sent is worked on, and the other way round.
  const std::uint64_t goal = std::min(round_up(end + ahead_window, kSendBytes), file_size);
  const std::uint64_t start = std::max(end, ahead_end);
  if (start >= goal) return;
  for (const Range& gap : missing(start, goal)) start_fetches(gap.begin, gap.end, file_size, nullptr);
  ahead_end = goal;
}

}  // namespace rideau::client
