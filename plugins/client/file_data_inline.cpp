// SPDX-License-Identifier: Apache-2.0
// Inline files: their bytes lie beside the inode, and in the first block of the cache. What the home has not got yet is
// dirty like any other byte and holds a grant of the targets, but is told by the plane's owner instead of being sent:
// all of the file at once, so that telling it twice is telling it once. Moving out is nothing but to call all of it
// dirty and the file not inline.
#include "plugins/client/file_data_impl.hpp"

#include "framework/base/limits.hpp"
#include "framework/rpc/call.hpp"
#include "plugins/fs/object_parts.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace rideau::client {

static_assert(fs::kInlineBytesMax <= kBlockBytes, "one block has all of an inline file");
static_assert(fs::kInlineBytesMax <= limits::kStripeSizeMin, "and so has its first object");

Task<Result<std::uint64_t>> FileData::Impl::fetch_inline(std::uint64_t begin, std::vector<IoVec> room) {
  const Result<std::string> all = co_await plane.inline_home->read_inline(inode);
  if (!all.ok()) co_return all.status();
  begin = std::min<std::uint64_t>(begin, all->size());
  const std::uint64_t size = all->size() - begin;
  const std::uint64_t fits = std::min(size, fs::parts_bytes(room.data(), static_cast<std::uint32_t>(room.size())));
  fs::PartsCursor cursor(room.data(), static_cast<std::uint32_t>(room.size()));
  cursor.copy_in(reinterpret_cast<const std::uint8_t*>(all->data()) + begin, fits);
  co_return fits;
}

Task<Status> FileData::Impl::load_inline(const std::uint64_t& file_size) {
  Block& block = blocks.pin(0);
  Status status{};
  while (status.ok() && !block.valid.covers(0, static_cast<std::uint32_t>(file_size))) {
    const std::uint64_t size = file_size;
    status = co_await make_valid(0, size, size);
  }
  blocks.unpin(0, block);
  co_return status;
}

void FileData::Impl::zero_inline(std::uint64_t begin, std::uint64_t end) {
  if (begin >= end) return;
  const auto from = static_cast<std::uint32_t>(begin);
  const auto to = static_cast<std::uint32_t>(end);
  Block& block = blocks.get(0);
  std::memset(blocks.writable(block, from, to), 0, to - from);
  block.valid.add(from, to);
  blocks.settle(0);
}

void FileData::Impl::dirty_inline(std::uint64_t end) {
  const auto to = static_cast<std::uint32_t>(end);
  Block& block = blocks.get(0);
  const std::uint64_t fresh = to - block.dirty.count(0, to);
  if (fresh == 0) return;
  if (block.dirty.empty()) {
    block.dirty_stamp = stamp;
    dirty_blocks.insert(0);
  }
  block.dirty.add(0, to);
  if (dirty_bytes == 0) plane.became_dirty(*this);
  dirty_bytes += fresh;
  plane.dirty_total += fresh;
  blocks.settle(0);
}

void FileData::Impl::clean_inline() {
  blocks.each_from(0, [this](std::uint64_t index, Block& block) {
    undirty(index, block, 0, kBlockBytes);
    blocks.settle(index);
  });
  plane.progress.wake_all();
}

Task<Result<bool>> FileData::Impl::write_inline(std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                                                std::uint64_t size, const std::uint64_t& file_size) {
  const std::uint64_t losses = lock_losses;
  const std::uint64_t end = offset + size;
  const bool covers = offset == 0 && end >= file_size;
  if (!covers) {
    const Status loaded = co_await load_inline(file_size);
    if (!loaded.ok()) co_return loaded;
    if (losses != lock_losses) co_return rpc::kNeverSent;
  }
  // Nothing waits from here on.
  const std::uint64_t all = std::max(file_size, end);
  if (inline_max == 0 || all > inline_max || !charge(0, all)) co_return false;
  zero_inline(file_size, offset);
  take_in(offset, end, Source{{data, data + parts}, nullptr, offset}, true);
  dirty_inline(all);
  plane.cache.make_room();
  if (plane.dirty_total > plane.options.dirty_bytes_max / 2) plane.write_back_oldest();
  co_return true;
}

// Alone behind the gate.
void FileData::Impl::truncate_inline(std::uint64_t old_size, std::uint64_t size) {
  const bool unsent = dirty_bytes != 0;
  cut_cache(size, ~0ull);
  zero_inline(old_size, size);
  if (!unsent || size == 0) return;
  // Somebody wrote meanwhile.
  Block& block = blocks.get(0);
  const std::uint64_t held = block.dirty_space();
  dirty_inline(size);
  hold_without_grant(*target_at(0), blocks.get(0).dirty_space() - held);
}

// All that the file has becomes dirty, or is written through where there is no grant for it.
Task<Status> FileData::Impl::write_out(std::uint64_t size) {
  if (size == 0) co_return kOk;
  const Block* block = blocks.find(0);
  if (block->dirty.covers(0, static_cast<std::uint32_t>(size))) co_return kOk;
  if (charge(0, size)) {
    dirty_inline(size);
    co_return kOk;
  }
  const std::string bytes(reinterpret_cast<const char*>(block->buffer->at(0)), size);
  clean_inline();
  const Source source{{IoVec{const_cast<char*>(bytes.data()), size}}, nullptr, 0};
  Status failure{};
  co_await write_through(0, size, source, &failure);
  co_return failure;
}

// Alone behind the gate.
Task<Status> FileData::Impl::move_out(const std::uint64_t& file_size, bool cut_first, bool durable) {
  const std::uint32_t before = inline_max;
  if (before == 0) co_return kOk;
  const std::uint64_t losses = lock_losses;
  Block& pinned = blocks.pin(0);
  Status status = co_await load_inline(file_size);
  const std::uint64_t size = file_size;
  if (status.ok() && cut_first) status = co_await resize_objects(limits::kFileBytesMax, 0);
  if (status.ok() && losses == lock_losses) {
    enter_objects(0, true);
    status = co_await write_out(size);
  }
  std::uint64_t epochs_before = 0;
  while (status.ok() && durable && epochs_before != epochs() + 1) {
    epochs_before = epochs() + 1;  // a restart on the way: what it lost is dirty again
    status = co_await flush();
    const Status synced = co_await sync(false);
    if (status.ok()) status = synced;
  }
  if (losses != lock_losses) {
    status = rpc::kNeverSent;  // whose file it is now, others decide
  } else if (!status.ok()) {
    enter_objects(before, false);
    // What its objects have does not count: nothing of it is to be kept, or made again.
    forget_reshapes();
    forget_all_unstable();
  }
  blocks.unpin(0, pinned);
  co_return status;
}

Task<Result<bool>> FileData::write_inline(std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                                          const std::uint64_t& file_size) {
  const std::uint64_t size = fs::parts_bytes(data, parts);
  if (!impl_->striping.valid()) co_return kNoTarget;
  const std::uint64_t losses = impl_->lock_losses;
  co_await impl_->gate.enter();
  Result<bool> done = rpc::kNeverSent;  // others may have the lock by now
  if (losses == impl_->lock_losses) {
    done = false;
    const bool fits = offset <= impl_->inline_max && size <= impl_->inline_max - offset;
    if (fits) done = co_await impl_->write_inline(offset, data, parts, size, file_size);
  }
  impl_->leave();
  co_return done;
}

Task<Status> FileData::load_inline(const std::uint64_t& file_size) {
  co_await impl_->gate.enter();
  const Status done = co_await impl_->load_inline(file_size);
  impl_->leave();
  co_return done;
}

void FileData::put_inline(Bytes bytes) {
  if (impl_->inline_max == 0 || bytes.size > fs::kInlineBytesMax) return;
  Block& block = impl_->blocks.get(0);
  const auto size = static_cast<std::uint32_t>(bytes.size);
  for (const ByteRange& gap : block.valid.gaps(0, size)) {
    std::memcpy(impl_->blocks.writable(block, gap.begin, gap.end), bytes.data + gap.begin, gap.end - gap.begin);
    block.valid.add(gap.begin, gap.end);
    impl_->plane.copied_bytes += gap.end - gap.begin;
  }
  impl_->blocks.settle(0);
  impl_->plane.cache.make_room();
}

bool FileData::has_inline(std::uint64_t file_size) noexcept {
  const Block* block = impl_->blocks.find(0);
  return file_size == 0 || (block != nullptr && block->valid.covers(0, static_cast<std::uint32_t>(file_size)));
}

std::optional<Bytes> FileData::all_inline(std::uint64_t file_size) noexcept {
  if (impl_->inline_max == 0 || !has_inline(file_size)) return std::nullopt;
  return file_size == 0 ? Bytes() : Bytes(impl_->blocks.find(0)->buffer->at(0), file_size);
}

std::optional<Bytes> FileData::unsent_inline(std::uint64_t file_size) noexcept {
  return impl_->dirty_bytes != 0 ? all_inline(file_size) : std::nullopt;
}

void FileData::told_inline() {
  if (impl_->inline_max != 0) impl_->clean_inline();
}

void FileData::lose_inline(Status why) {
  if (impl_->inline_max == 0) return;
  impl_->keep_error(why);
  impl_->clean_inline();
  impl_->drop();
}

Task<Status> FileData::move_out(const std::uint64_t& file_size, bool cut_first, bool durable) {
  if (!impl_->striping.valid()) co_return kNoTarget;
  const std::uint64_t losses = impl_->lock_losses;
  co_await impl_->gate.close();
  Status done = posix_error(EIO, "the lock was lost before the file was moved out");
  if (losses == impl_->lock_losses) {
    impl_->gate.enter_alone();
    done = co_await impl_->move_out(file_size, cut_first, durable);
    impl_->gate.leave();
  }
  impl_->reopen();
  co_return done;
}

}  // namespace rideau::client
