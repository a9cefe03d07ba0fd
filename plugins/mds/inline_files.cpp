// SPDX-License-Identifier: Apache-2.0
#include "plugins/mds/inline_files.hpp"

#include <cerrno>
#include <string>

namespace rideau::mds {

using namespace fs;

void begin_inline(Inode* inode) noexcept {
  if (inode->layout.inline_max != 0) inode->flags |= kInline;
}

namespace {

void put(Target& target, std::string_view bytes, Inode* inode) {
  target.names.put_inline(inode->id, Bytes(bytes));
  inode->size = bytes.size();
}

void leave(Target& target, Inode* inode) {
  if (inode->size != 0) target.names.put_inline(inode->id, Bytes());
  inode->flags &= ~static_cast<std::uint32_t>(kInline | kUntouched);
}

}  // namespace

bool take_inline(Target& target, const InlineBytes& said, Inode* inode) {
  if (said.moved_out) leave(target, inode);
  if (said.present && inode->is_inline()) put(target, said.bytes, inode);
  return said.moved_out || said.present;
}

Status check_inline_size(Target& target, const InlineBytes& said, const Inode& inode, std::uint64_t size) {
  if (said.moved_out || size == 0) return kOk;
  if (size > kInlineBytesMax) return posix_error(EOPNOTSUPP, "too large to be inline");
  if (said.present) return kOk;
  // Who lets it grow knows all that it has.
  if (size > inode.size) return posix_error(EOPNOTSUPP, "an inline file grows without its bytes");
  Bytes bytes;
  return target.names.get_inline(inode, &bytes);
}

void resize_inline(Target& target, const InlineBytes& said, std::uint64_t size, Inode* inode) {
  if (said.moved_out) return leave(target, inode);
  Bytes had;
  if (!said.present) static_cast<void>(target.names.get_inline(*inode, &had));
  std::string bytes(said.present ? said.bytes : had.view());
  bytes.resize(size, '\0');
  put(target, bytes, inode);
}

}  // namespace rideau::mds
