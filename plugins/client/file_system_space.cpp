// SPDX-License-Identifier: Apache-2.0
// fallocate in its modes, and the search for data and holes.
#include "plugins/client/file_system_impl.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

Task<Status> FileSystem::Impl::allocate(HandleRef handle, Allocate mode, bool keep_size, std::uint64_t offset,
                                        std::uint64_t size) {
  Node& node = *handle->node;
  const Status known = co_await know_end(handle->node);
  if (!known.ok()) co_return known;
  if (!try_follow(node, *handle->data)) {
    const Status followed = co_await follow(node, *handle->data);
    if (!followed.ok()) co_return followed;
  }
  // No flag says whether the caller may keep set-id bits: those of root may, as on a local file system.
  const std::uint32_t kills = privileges_to_kill(node, handle->caller.uid != 0);
  if (kills != 0) {
    const Status killed = co_await kill_privileges(handle, kills, handle->caller);
    if (!killed.ok()) co_return killed;
  }
  const std::uint64_t before = epoch;
  handle->wrote = handle->touched = true;
  Status status = kOk;
  if (node.inode.is_inline()) status = co_await move_out(handle->node, true);
  if (!status.ok()) co_return status;
  if (mode == Allocate::punch) {
    status = co_await handle->data->punch(offset, size, node.inode.size);
  } else {
    status = co_await handle->data->allocate(offset, size, mode == Allocate::zero);
  }
  const bool grows = mode != Allocate::punch && !keep_size && offset + size > node.inode.size;
  if (status.ok() && grows) {
    status = co_await handle->data->truncate(node.inode.size, offset + size);
    if (!status.ok() && epoch == before) co_await handle->data->cut_failed(offset + size, node.inode.size);
  }
  Result<FileData::ObjectsStat> now = posix_error(EIO);
  if (status.ok()) now = co_await handle->data->stat_objects();
  if (epoch != before) {
    handle->broken = true;
    co_return Status{Code::io_error, EIO, "the lock was lost while space was changed"};
  }
  if (!status.ok()) co_return status;
  if (grows) node.inode.size = std::max(node.inode.size, offset + size);
  if (now.ok()) node.inode.blocks = now->blocks + (handle->data->dirty_bytes() + 511) / 512;
  changed_bytes(node);
  co_return kOk;
}

Task<Result<std::uint64_t>> FileSystem::Impl::seek(HandleRef handle, std::uint64_t offset, bool hole) {
  Status known = co_await know(handle->node, true);
  if (known.ok()) known = co_await ask_size(handle->node);
  if (known.ok()) known = co_await know(handle->node, true);
  if (!known.ok()) co_return known;
  if (!try_follow(*handle->node, *handle->data)) {
    const Status followed = co_await follow(*handle->node, *handle->data);
    if (!followed.ok()) co_return followed;
  }
  const std::uint64_t size = handle->node->inode.size;
  if (handle->node->inode.is_inline()) {  // all of it is data
    if (offset >= size) co_return posix_error(ENXIO, "beyond the end of the file");
    co_return hole ? size : offset;
  }
  auto found = co_await handle->data->find(hole ? FileData::Find::hole : FileData::Find::data, offset, size);
  co_return found;
}

// The kernel holds the inode's lock meanwhile and drops pages of the range when it has the answer: a data call.
Task<Status> FileSystem::allocate(fs::HandleId id, Allocate mode, bool keep_size, std::uint64_t offset,
                                  std::uint64_t size) {
  HandleRef handle = impl_->find_handle(id);
  if (handle == nullptr || !handle->writes() || handle->data == nullptr) co_return posix_error(EBADF);
  if (size == 0) co_return posix_error(EINVAL);
  if (offset > limits::kFileBytesMax || size > limits::kFileBytesMax - offset) co_return posix_error(EFBIG);
  Status status = co_await impl_->usable(handle);
  if (!status.ok()) co_return status;
  DataCall call({0, lock::kExtentEnd});
  status = co_await impl_->enter(handle->node, true, call);
  if (!status.ok()) co_return status;
  status = co_await impl_->allocate(handle, mode, keep_size, offset, size);
  impl_->leave(*handle->node, call);
  co_return status;
}

Task<Result<std::uint64_t>> FileSystem::seek(fs::HandleId id, std::uint64_t offset, bool hole) {
  HandleRef handle = impl_->find_handle(id);
  if (handle == nullptr || handle->data == nullptr) co_return posix_error(EBADF);
  Status status = co_await impl_->usable(handle);
  if (!status.ok()) co_return status;
  // Pages that were changed through a mapping are known to the kernel alone.
  if (handle->node->writers != 0 && impl_->kernel != nullptr) co_await impl_->kernel->drop_pages(handle->inode());
  DataCall call({0, lock::kExtentEnd});
  status = co_await impl_->enter(handle->node, false, call);
  if (!status.ok()) co_return status;
  auto found = co_await impl_->seek(handle, offset, hole);
  impl_->leave(*handle->node, call);
  co_return found;
}

}  // namespace rideau::client
