// SPDX-License-Identifier: Apache-2.0
// WRITE requests of mapped pages, which the kernel sends when it likes to.
//
// Stores do not make a file larger. The kernel goes by a size of which it may not know yet that it is old, so what lies
// behind the end is left out. And it does not look at how many bytes were written: a request that is not written whole
// has failed. After a session was lost, whole pages of before must not go over what others have written since.
#include "plugins/client/file_system_impl.hpp"
#include "plugins/fs/object_parts.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::client {

bool FileSystem::Impl::lost_pages(fs::InodeId inode) const {
  const auto pages = paged.find(inode);
  return pages != paged.end() && pages->second.lost;
}

// Under the lock.
Task<Status> FileSystem::Impl::write_pages(HandleRef handle, std::uint64_t offset, const IoVec* data,
                                           std::uint32_t parts, std::uint64_t size, WriteDetails& details) {
  Status status = co_await know(handle->node, true);
  const std::uint64_t file_size = handle->node->inode.size;
  const std::uint64_t left = offset < file_size ? std::min(size, file_size - offset) : 0;
  for (std::uint64_t done = 0; status.ok() && done < left;) {
    std::vector<IoVec> rest;
    fs::slice_parts(data, parts, done, left - done, parts, rest);
    if (left - done != size) details.lent = nullptr;
    const auto written = co_await write(handle, offset + done, rest.data(), static_cast<std::uint32_t>(rest.size()),
                                        left - done, &details);
    status = written.status();
    if (written.ok() && *written == 0) status = posix_error(EIO, "mapped pages are not written whole");
    if (written.ok()) done += *written;
  }
  co_return status;
}

}  // namespace rideau::client
