// SPDX-License-Identifier: Apache-2.0
// Files whose bytes are in a record beside their inode's (fs::kInline): as many as its size says, and none of a file
// without bytes. The record changes in the batch in which size and times change.
#pragma once

#include "plugins/fs/meta_calls.hpp"
#include "plugins/mds/target.hpp"

namespace rideau::mds {

// Answers to an open are kept for resends: larger files are asked for.
constexpr std::size_t kInlineBytesWithOpen = 16 * 1024;

// A new file begins as one, where its layout says so.
void begin_inline(fs::Inode* inode) noexcept;
// What the holder of the exclusive lock says of the bytes of an inline file: size, record and flag follow. False: it
// has said nothing of them, and they are as they were.
bool take_inline(Target& target, const fs::InlineBytes& said, fs::Inode* inode);
// Whether an inline file can be cut to, or grow to, this size with what its client said; before the transaction begins.
Status check_inline_size(Target& target, const fs::InlineBytes& said, const fs::Inode& inode, std::uint64_t size);
// Does it. The file may not be inline afterwards.
void resize_inline(Target& target, const fs::InlineBytes& said, std::uint64_t size, fs::Inode* inode);

// How many such bytes a change brings.
inline std::uint64_t inline_bytes_of(const fs::CloseRequest& request) noexcept {
  std::uint64_t bytes = 0;
  for (const fs::CloseItem& item : request.items) bytes += item.bytes.bytes.size();
  return bytes;
}
inline std::uint64_t inline_bytes_of(const fs::SetAttributesRequest& request) noexcept {
  return request.bytes.bytes.size();
}
template <class Request>
std::uint64_t inline_bytes_of(const Request&) noexcept {
  return 0;
}

}  // namespace rideau::mds
