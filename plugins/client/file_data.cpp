// SPDX-License-Identifier: Apache-2.0
// The calls of FileData: each passes the gate, does its work, leaves.
#include "plugins/client/file_data_impl.hpp"

#include "framework/base/limits.hpp"
#include "framework/base/sim_hooks.hpp"
#include "framework/observe/log.hpp"
#include "framework/rpc/call.hpp"
#include "plugins/fs/object_parts.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

FileData::Impl::Impl(DataPlane::Impl& plane_in, fs::InodeId inode_in, fs::Layout layout)
    : plane(plane_in),
      inode(inode_in),
      striping(std::move(layout)),
      bytes_max(plane_in.file_bytes_max(striping)),
      blocks(plane_in.cache, inode_in),
      gate(plane_in.runtime),
      stripes(striping.stripe_count()) {}

void FileData::Impl::leave() {
  gate.leave();
  if (idle()) plane.candidates.insert(inode);
}

void FileData::Impl::reopen() {
  gate.reopen();
  if (idle()) plane.candidates.insert(inode);
  plane.kick(*this);
}

void FileData::Impl::keep_error(Status status) noexcept {
  // What ended with its session is no call that its caller could make again: the bytes are gone by now.
  if (status.code == Code::closed) status = posix_error(EIO, status.where);
  const bool first = heard == failures++;
  last_failure = status;
  if (!first) return;
  if (plane.options.log == nullptr) return;
  plane.options.log->warning(
      "bytes that were written to inode %llu are lost (%s, errno %d): whoever has it open hears of it",
      static_cast<unsigned long long>(inode), status.where != nullptr ? status.where : "", errno_of(status));
}

void FileData::Impl::wrote(std::uint32_t stripe, std::uint64_t bytes_used) {
  stripes[stripe].bytes_used = bytes_used;
  note_change(stripe);
}

void FileData::Impl::undirty(std::uint64_t index, Block& block, std::uint32_t begin, std::uint32_t end) {
  const std::uint64_t bytes = block.dirty.count(begin, end);
  if (bytes == 0) return;
  const std::uint64_t space = block.dirty_space();
  block.dirty.remove(begin, end);
  if (block.dirty.empty()) dirty_blocks.erase(index);
  DataTarget* target = target_at(index * kBlockBytes);
  target->grant += target->unhold(space - block.dirty_space());
  dirty_bytes -= bytes;
  plane.dirty_total -= bytes;
  if (dirty_bytes == 0) plane.all_sent(*this);
}

void FileData::Impl::drop() {
  ++generation;
  ahead_end = 0;
  blocks.drop_clean();
}

// Blocks that lie on both sides of a border stay: nobody else may have them.
void FileData::Impl::drop(std::uint64_t begin, std::uint64_t end) {
  ++generation;
  ahead_end = 0;
  blocks.each_from(begin / kBlockBytes, [&](std::uint64_t index, Block& block) {
    if (index < end / kBlockBytes) blocks.drop_clean(index, block);
  });
}

void FileData::Impl::discard() {
  left_inline = false;
  blocks.each_from(0, [this](std::uint64_t index, Block& block) { undirty(index, block, 0, kBlockBytes); });
  forget_reshapes();
  forget_all_unstable();
  drop();
  plane.progress.wake_all();
}

// Acknowledged bytes that were not made durable may be gone with the target's memory, unless it says that it has lost
// nothing: what is here is sent again. What was not sent yet stays dirty, and goes to the target without a grant.
void FileData::Impl::meet_again(fs::TargetId id, bool kept_all) {
  if (!kept_all && !send_again(id)) {
    RIDEAU_MARK(lost_bytes_told);
    keep_error(posix_error(EIO, "the object target restarted"));
  }
  for (const std::uint64_t index : dirty_blocks) {
    if (striping.target(striping.stripe_at(index * kBlockBytes)) != id) continue;
    hold_without_grant(*target_at(index * kBlockBytes), blocks.find(index)->dirty_space());
  }
}

FileData::FileData(DataPlane::Impl& plane, fs::InodeId inode, fs::Layout layout)
    : impl_(std::make_unique<Impl>(plane, inode, std::move(layout))) {}
FileData::~FileData() = default;

namespace {

class RoomSink final : public ReadSink {
 public:
  RoomSink(const IoVec* room, std::uint32_t parts, std::uint64_t& copied) : room_(room, parts), copied_(copied) {}
  void take(const IoVec* parts, std::uint32_t count) override {
    for (std::uint32_t i = 0; i < count; ++i) {
      room_.copy_in(static_cast<const std::uint8_t*>(parts[i].base), parts[i].size);
      copied_ += parts[i].size;
    }
  }

 private:
  fs::PartsCursor room_;
  std::uint64_t& copied_;
};

}  // namespace

Task<Result<std::uint64_t>> FileData::read(std::uint64_t offset, std::uint64_t wanted, std::uint64_t file_size,
                                           ReadSink& sink) {
  if (offset >= file_size || wanted == 0) co_return std::uint64_t{0};
  if (!impl_->striping.valid()) co_return kNoTarget;
  const std::uint64_t size = std::min(wanted, file_size - offset);
  co_await impl_->gate.enter();
  Result<std::uint64_t> done = co_await impl_->read(offset, size, file_size, sink);
  impl_->leave();
  co_return done;
}

Task<Result<std::uint64_t>> FileData::read(std::uint64_t offset, const IoVec* room, std::uint32_t parts,
                                           std::uint64_t file_size) {
  RoomSink sink(room, parts, impl_->plane.copied_bytes);
  co_return co_await read(offset, fs::parts_bytes(room, parts), file_size, sink);
}

Task<Result<std::uint64_t>> FileData::write(std::uint64_t offset, const IoVec* data, std::uint32_t parts,
                                            const Buffers* lent) {
  std::uint64_t size = fs::parts_bytes(data, parts);
  if (size == 0) co_return std::uint64_t{0};
  if (!impl_->striping.valid()) co_return kNoTarget;
  if (offset >= impl_->bytes_max) co_return posix_error(EFBIG, "write");
  size = std::min(size, impl_->bytes_max - offset);
  const std::uint64_t losses = impl_->lock_losses;
  co_await impl_->gate.enter();
  Result<std::uint64_t> done = rpc::kNeverSent;  // others may have the lock by now
  if (losses == impl_->lock_losses) done = co_await impl_->write(offset, data, parts, size, lent);
  impl_->leave();
  co_return done;
}

Task<Status> FileData::truncate(std::uint64_t old_size, std::uint64_t size) {
  if (!impl_->striping.valid()) co_return kNoTarget;
  const std::uint64_t losses = impl_->lock_losses;
  co_await impl_->gate.close();
  // What it waited for may be that the lock is gone: then objects are somebody else's.
  Status done = posix_error(EIO, "the lock was lost before the file was cut");
  if (losses == impl_->lock_losses && impl_->inline_max != 0) {
    impl_->truncate_inline(old_size, size);
    done = kOk;
  } else if (losses == impl_->lock_losses) {
    done = co_await impl_->truncate(old_size, size);
  }
  impl_->reopen();
  co_return done;
}

Task<> FileData::cut_failed(std::uint64_t attempted_end, const std::uint64_t& file_size) {
  if (!impl_->striping.valid()) co_return;
  const std::uint64_t losses = impl_->lock_losses;
  co_await impl_->gate.close();
  if (losses == impl_->lock_losses && file_size < attempted_end)
    static_cast<void>(co_await impl_->truncate(attempted_end, file_size));
  impl_->reopen();
}

Task<Status> FileData::flush() { return flush(0, ~0ull); }

Task<Status> FileData::flush(std::uint64_t begin, std::uint64_t end) {
  co_await impl_->gate.enter();
  Status done{};
  std::uint64_t before = 0;
  do {
    before = impl_->epochs();
    done = co_await impl_->flush(begin, end);
  } while (done.ok() && before != impl_->epochs());
  impl_->leave();
  co_return done;
}

Task<Status> FileData::sync() {
  if (!impl_->striping.valid()) co_return kNoTarget;
  co_await impl_->gate.enter();
  Status status{};
  std::uint64_t before = 0;
  do {  // a restart on the way: what it lost is dirty again
    before = impl_->epochs();
    status = co_await impl_->flush();
    const Status synced = co_await impl_->sync(true);
    if (status.ok()) status = synced;
    if (before != impl_->epochs()) RIDEAU_MARK(sync_met_restart);
  } while (status.ok() && before != impl_->epochs());
  impl_->leave();
  co_return status;
}

Task<Status> FileData::settle() { return settle(0, ~0ull); }

Task<Status> FileData::settle(std::uint64_t begin, std::uint64_t end) {
  if (!impl_->striping.valid()) co_return kNoTarget;
  co_await impl_->gate.enter();
  Status status{};
  std::uint64_t before = 0;
  do {
    before = impl_->epochs();
    status = co_await impl_->flush(begin, end);
    const Status synced = co_await impl_->sync(false);
    if (!synced.ok() && before == impl_->epochs()) impl_->give_up_unstable(synced, begin, end);
    if (status.ok()) status = synced;
  } while (before != impl_->epochs());
  impl_->leave();
  co_return status;
}

Task<Result<FileData::ObjectsStat>> FileData::stat_objects() {
  if (!impl_->striping.valid()) co_return kNoTarget;
  co_await impl_->gate.enter();
  Result<ObjectsStat> done = ObjectsStat{};
  std::uint64_t before = 0;
  do {
    co_await impl_->until_remade();
    before = impl_->epochs();
    done = co_await impl_->stat_objects();
  } while (done.ok() && before != impl_->epochs());
  impl_->leave();
  co_return done;
}

bool FileData::try_adopt(const fs::Layout& layout, bool is_inline) noexcept {
  const std::uint32_t known = impl_->striping.layout().generation;
  if (layout.generation > known) return false;
  if (layout.generation == known && !impl_->left_inline) impl_->inline_max = is_inline ? layout.inline_max : 0;
  return true;
}

Task<> FileData::adopt(fs::Layout layout, bool is_inline) {
  co_await impl_->gate.close();
  if (!try_adopt(layout, is_inline)) impl_->adopt(std::move(layout), is_inline);
  impl_->reopen();
}

// Alone behind the gate: nothing is on its way but changes that are being made again, which stop by themselves.
void FileData::Impl::adopt(fs::Layout layout, bool is_inline) {
  discard();
  enter_objects(is_inline ? layout.inline_max : 0, false);
  striping = Striping(std::move(layout));
  bytes_max = plane.file_bytes_max(striping);
  kept_end = 0;  // the objects are new ones
  stripes.assign(striping.stripe_count(), {});
  plane.progress.wake_all();
}

void FileData::drop() {
  if (impl_->inline_max != 0 && impl_->dirty()) lose_inline(posix_error(EIO, "the lock went before they were told"));
  impl_->left_inline = false;
  impl_->drop();
}
void FileData::drop(std::uint64_t begin, std::uint64_t end) { impl_->drop(begin, end); }
void FileData::discard() { impl_->discard(); }
bool FileData::dirty() const noexcept { return impl_->inline_max == 0 && impl_->dirty(); }
bool FileData::dirty(std::uint64_t begin, std::uint64_t end) const noexcept { return impl_->dirty(begin, end); }
// What the metadata server has not got yet is told it, and made again with what else it lost.
bool FileData::settled() const noexcept { return impl_->inline_max != 0 || impl_->settled(); }
bool FileData::settled(std::uint64_t begin, std::uint64_t end) const noexcept { return impl_->settled(begin, end); }
std::uint64_t FileData::dirty_bytes() const noexcept { return impl_->dirty_bytes + impl_->sending_bytes; }
std::uint64_t FileData::errors_heard() const noexcept { return impl_->heard; }
Status FileData::take_error(std::uint64_t* heard) noexcept {
  if (std::exchange(*heard, impl_->failures) == impl_->failures) return kOk;
  impl_->heard = impl_->failures;
  return impl_->last_failure;
}
void FileData::fail(Status status) noexcept { impl_->keep_error(status); }
Status FileData::take_error() noexcept {
  std::uint64_t heard = impl_->heard;
  return take_error(&heard);
}

std::uint64_t FileData::blocks_hint() const noexcept {
  std::uint64_t bytes = 0;
  for (const Impl::StripeState& stripe : impl_->stripes) bytes += stripe.bytes_used;
  return (bytes + 511) / 512;
}

}  // namespace rideau::client
