// SPDX-License-Identifier: Apache-2.0
// WRITE requests of mapped pages, which the kernel sends when it likes to.
//
// All pages of such a request are under write-back until it is answered, and whoever drops one of them waits for that.
// So while a file is locked in parts, a request that has pages in a part that is held here must not wait for another
// part: others may wait for the first one before they give the second one back. There are pages of parts that are not
// held here, since the kernel lets go of pages that a program's WRITE has filled before that WRITE is answered. What is
// stored into those is put off: the request is answered, and the bytes are written when the part has come, behind that
// WRITE and before whatever comes later. fsync and close wait for it, and hear of its errors.
//
// Stores do not make a file larger. The kernel goes by a size of which it may not know yet that it is old, so what lies
// behind the end is left out. And it does not look at how many bytes were written: a request that is not written whole
// has failed. After a session was lost, whole pages of before must not go over what others have written since.
#include "plugins/client/file_system_impl.hpp"

#include "framework/base/sim_hooks.hpp"
#include "plugins/fs/object_parts.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

using lock::Extent;

bool FileSystem::Impl::lost_pages(fs::InodeId inode) const {
  const auto pages = paged.find(inode);
  return pages != paged.end() && pages->second.lost;
}

bool FileSystem::Impl::any_writing(const Node& node, Extent range, std::uint64_t last, bool put_off) const {
  return std::any_of(writing.begin(), writing.end(), [&](const Writing& one) {
    return one.node == &node && one.number <= last && (one.put_off || !put_off) && one.range.overlaps(range);
  });
}

Task<Status> FileSystem::Impl::write_pages(HandleRef handle, std::uint64_t offset, const IoVec* data,
                                           std::uint32_t parts, std::uint64_t size, WriteDetails& details) {
  Node& node = *handle->node;
  for (std::uint64_t done = 0; done < size;) {
    const std::uint64_t begin = offset + done;
    const bool in_parts = node.lock.divided;
    const std::uint64_t part_end = (begin / kExtentBytes + 1) * kExtentBytes;
    const std::uint64_t end = in_parts ? std::min(offset + size, part_end) : offset + size;
    std::vector<IoVec> piece;
    fs::slice_parts(data, parts, done, end - begin, parts, piece);
    if (end - begin != size) details.lent = nullptr;
    DataCall call({begin, end});
    call.of_map = true;
    call.not_held = any_writing(node, call.range, writes_begun, true);
    Status status = kOk;
    if (!call.not_held) {
      status = co_await write_stored(handle, begin, piece, details, call);
      if (call.not_held && !in_parts) continue;  // it was divided meanwhile
    }
    if (call.not_held) {
      RIDEAU_MARK(stored_pages_put_off);
      std::vector<std::uint8_t> bytes;
      for (const IoVec& one : piece) {
        const auto* first = static_cast<const std::uint8_t*>(one.base);
        bytes.insert(bytes.end(), first, first + one.size);
      }
      tasks->spawn(write_later(handle, begin, std::move(bytes), details));
    } else if (!status.ok()) {
      co_return status;
    }
    done += end - begin;
  }
  co_return kOk;
}

Task<Status> FileSystem::Impl::write_stored(HandleRef handle, std::uint64_t offset, const std::vector<IoVec>& data,
                                            WriteDetails& details, DataCall& call) {
  Node& node = *handle->node;
  const std::uint64_t size = call.range.end - offset;
  Status status = co_await enter_write(handle, offset, size, &details, call);
  if (!status.ok()) co_return status;
  const bool ends_here = node.lock.divided && !node.parts->end_known && offset + size > node.inode.size;
  if (ends_here) status = co_await ask_size(handle->node);
  if (status.ok()) status = co_await know(handle->node, true);
  const std::uint64_t left = offset < node.inode.size ? std::min(size, node.inode.size - offset) : 0;
  for (std::uint64_t done = 0; status.ok() && done < left;) {
    std::vector<IoVec> rest;
    fs::slice_parts(data.data(), static_cast<std::uint32_t>(data.size()), done, left - done, data.size(), rest);
    if (left - done != size) details.lent = nullptr;
    const auto written = co_await write(handle, offset + done, rest.data(), static_cast<std::uint32_t>(rest.size()),
                                        left - done, &details);
    status = written.status();
    if (written.ok() && *written == 0) status = posix_error(EIO, "mapped pages are not written whole");
    if (written.ok()) done += *written;
  }
  leave(node, call);
  co_return status;
}

Task<> FileSystem::Impl::write_later(HandleRef handle, std::uint64_t offset, std::vector<std::uint8_t> bytes,
                                     WriteDetails details) {
  Node& node = *handle->node;
  DataCall call({offset, offset + bytes.size()});
  Writing one(node, call.range, ++writes_begun);
  one.put_off = true;
  writing.push_back(one);
  call.behind = one.number - 1;
  while (any_writing(node, call.range, call.behind, false)) co_await gate_changed.wait();
  const std::vector<IoVec> data{{bytes.data(), bytes.size()}};
  details.lent = nullptr;
  Status status = co_await usable(handle);
  if (status.ok()) status = co_await write_stored(handle, offset, data, details, call);
  if (!status.ok()) handle->data->fail(status);
  end_writing(one);
}

Task<> FileSystem::Impl::behind_stored(Node& node) {
  const std::uint64_t last = writes_begun;
  while (any_writing(node, {0, lock::kExtentEnd}, last, true)) co_await gate_changed.wait();
}

}  // namespace rideau::client
