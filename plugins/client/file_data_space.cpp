// SPDX-License-Identifier: Apache-2.0
// Space of a file: ranges that are kept or given back at the targets, and where the holes are. A range of a file is one
// range of each of its objects.
#include "plugins/client/file_data_impl.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

// The range of an object that a range of the file covers.
FileData::Impl::Range FileData::Impl::object_range(std::uint32_t stripe, const Range& range) const noexcept {
  return {striping.object_size(stripe, range.begin), striping.object_size(stripe, range.end)};
}

// One change of every object that has bytes of the range.
Task<Status> FileData::Impl::change_objects(Range range, Change change) {
  Gather gather(plane.runtime, plane.tasks);
  for (std::uint32_t stripe = 0; stripe < striping.stripe_count(); ++stripe) {
    const Range own = object_range(stripe, range);
    if (own.begin < own.end) gather.spawn(reshape(stripe, {change, own}));
  }
  co_return co_await gather.join();
}

// Alone behind the gate: nothing is on its way.
Task<Status> FileData::Impl::punch(Range range, std::uint64_t file_size) {
  if (range.begin < std::min(kept_end, file_size)) {
    // Space may be kept beyond the ends of objects, where a store punches no holes.
    Gather gather(plane.runtime, plane.tasks);
    for (std::uint32_t stripe = 0; stripe < striping.stripe_count(); ++stripe) {
      const std::uint64_t end = striping.object_size(stripe, file_size);
      gather.spawn(reshape(stripe, {Change::resize, {end, end}}));
    }
    const Status resized = co_await gather.join();
    if (!resized.ok()) co_return resized;
  }
  cut_cache(range.begin, range.end);
  const Status done = co_await change_objects(range, Change::punch);
  co_return done;
}

// A range that does not fit keeps its bytes, those too that only the cache has.
Task<Status> FileData::Impl::allocate(Range range, bool zero) {
  const Status kept = co_await change_objects(range, Change::keep);
  if (!kept.ok()) co_return kept;
  kept_end = std::max(kept_end, range.end);
  if (!zero) co_return kOk;
  cut_cache(range.begin, range.end);
  const Status done = co_await change_objects(range, Change::zero);
  co_return done;
}

Task<Status> FileData::Impl::find_in_object(std::uint32_t stripe, std::uint64_t offset, Range* out) {
  DataTarget* target = target_of(stripe);
  if (target == nullptr) co_return kNoTarget;
  const fs::ObjectFindDataRequest request{object(stripe), offset};
  const Result<fs::ObjectFindDataReply> reply = co_await target->channel->find_data(request);
  if (reply.ok()) *out = {std::max(reply->begin, offset), std::max(reply->end, offset)};
  co_return reply.status();
}

Task<Result<std::uint64_t>> FileData::Impl::find_data(std::uint64_t offset, std::uint64_t file_size) {
  std::vector<Range> runs(striping.stripe_count());
  Gather gather(plane.runtime, plane.tasks);
  for (std::uint32_t stripe = 0; stripe < runs.size(); ++stripe) {
    gather.spawn(find_in_object(stripe, striping.object_size(stripe, offset), &runs[stripe]));
  }
  const Status looked = co_await gather.join();
  if (!looked.ok()) co_return looked;
  std::uint64_t first = file_size;
  for (std::uint32_t stripe = 0; stripe < runs.size(); ++stripe) {
    if (runs[stripe].begin == runs[stripe].end) continue;
    first = std::min(first, striping.file_size(stripe, runs[stripe].begin + 1) - 1);
  }
  if (first >= file_size) co_return posix_error(ENXIO, "no data follows");
  co_return first;
}

// Walks over the stripes with the run of data that each object is known to have.
Task<Result<std::uint64_t>> FileData::Impl::find_hole(std::uint64_t offset, std::uint64_t file_size) {
  std::vector<Range> runs(striping.stripe_count());
  while (offset < file_size) {
    const Segment segment = striping.segment_at(offset, file_size - offset);
    Range& run = runs[segment.stripe];
    if (run.end <= segment.object_offset) {
      const Status looked = co_await find_in_object(segment.stripe, segment.object_offset, &run);
      if (!looked.ok()) co_return looked;
    }
    if (run.begin == run.end || run.begin > segment.object_offset) co_return offset;
    offset += std::min(segment.size, run.end - segment.object_offset);
  }
  co_return file_size;
}

Task<Status> FileData::punch(std::uint64_t offset, std::uint64_t size, std::uint64_t file_size) {
  if (!impl_->striping.valid()) co_return kNoTarget;
  co_await impl_->gate.close();
  const Impl::Range range{offset, offset + size};
  const Status done = co_await impl_->punch(range, file_size);
  impl_->reopen();
  co_return done;
}

Task<Status> FileData::allocate(std::uint64_t offset, std::uint64_t size, bool zero) {
  if (!impl_->striping.valid()) co_return kNoTarget;
  if (offset > impl_->bytes_max || size > impl_->bytes_max - offset) co_return posix_error(EFBIG, "allocate");
  co_await impl_->gate.close();
  const Impl::Range range{offset, offset + size};
  const Status done = co_await impl_->allocate(range, zero);
  impl_->reopen();
  co_return done;
}

Task<Result<std::uint64_t>> FileData::find(Find what, std::uint64_t offset, std::uint64_t file_size) {
  if (offset >= file_size) co_return posix_error(ENXIO, "beyond the end of the file");
  if (!impl_->striping.valid()) co_return kNoTarget;
  co_await impl_->gate.enter();
  Result<std::uint64_t> found = posix_error(EINVAL);
  std::uint64_t before = 0;
  do {
    before = impl_->epochs();
    // The targets know only what has reached them; a failure is kept for whoever asks for it.
    static_cast<void>(co_await impl_->flush());
    if (what == Find::data) {
      found = co_await impl_->find_data(offset, file_size);
    } else {
      found = co_await impl_->find_hole(offset, file_size);
    }
  } while (before != impl_->epochs());
  impl_->leave();
  co_return found;
}

}  // namespace rideau::client
