// SPDX-License-Identifier: Apache-2.0
// Which names the kernel may walk over without asking. Where it does not check permissions itself it asks nobody about
// a name that it has cached, and opens what is neither a file nor a directory without any request. So a name may stay
// with it only where every user gets the same answer.
#pragma once

#include "plugins/fs/inode.hpp"

namespace rideau::client {

// A directory that everybody may search; a FIFO, device or socket that everybody may read and write; by the mode and by
// the access control list. Files are asked about with every open, symbolic links are open to all.
inline bool open_to_all(const fs::Inode& inode) noexcept {
  if (inode.is_regular() || inode.is_symlink()) return true;
  const std::uint32_t needed = inode.is_directory() ? 01 : 06;
  const std::uint32_t of_all = needed * 0111;
  if ((inode.mode & of_all) != of_all) return false;
  return inode.access_list == nullptr || fs::gives_everybody(*inode.access_list, needed);
}

}  // namespace rideau::client
