// SPDX-License-Identifier: Apache-2.0
// read_directory: entries in the order of their cookies, which is fixed when an entry is made: whatever comes or goes
// between two pages, an entry that was there all the time shows exactly once.
#include "plugins/fs/codec.hpp"
#include "plugins/mds/ops/ops.hpp"

#include "framework/base/limits.hpp"

#include <algorithm>
#include <cerrno>

namespace rideau::mds {

using namespace fs;

Result<ReadDirectoryReply> apply(Target& target, const ReadDirectoryRequest& request) {
  constexpr std::size_t kOtherBytes = 256;  // of the reply around the entries
  InodeRecord directory;
  if (const Status status = target.names.get(request.directory, &directory); !status.ok()) return status;
  if (!directory.inode.is_directory()) return posix_error(ENOTDIR);
  const std::uint32_t entries_max = std::clamp(request.entries_max, 1u, limits::kDirectoryEntriesMax);
  ReadDirectoryReply reply;
  reply.parent = directory.inode.parent;
  std::size_t bytes = kOtherBytes;
  Cookie after = std::max(request.after, kCookieDotDot);
  InodeRecord record;
  while (reply.entries.size() < entries_max) {
    FoundEntry found;
    std::string_view name;
    const Status status = target.names.next_entry(request.directory, after, &found, &name);
    if (status.code == Code::not_found) {
      reply.end = true;
      break;
    }
    if (!status.ok()) return status;
    DirectoryEntry entry{found.cookie, found.inode, found.type, std::string(name), {}};
    // Without its attributes the entry is still worth showing: damage is met by whoever uses it.
    if (request.attributes && target.names.get_named(found.inode, &record).ok()) entry.attributes = record.inode;
    bytes += encoded_bytes_max(entry);
    if (bytes > limits::kBodyBytesMax) break;
    after = found.cookie;
    reply.entries.push_back(std::move(entry));
  }
  return reply;
}

}  // namespace rideau::mds
