// SPDX-License-Identifier: Apache-2.0
// Which names the kernel may walk over without asking. Where it does not check permissions itself it asks nobody about
// a name that it has cached, and opens what is neither a file nor a directory without any request. So a name may stay
// with it only where every user gets the same answer.
#pragma once

#include "plugins/fs/inode.hpp"

namespace rideau::client {

// A directory that everybody may search; a FIFO, device or socket that everybody may read and write. Files are asked
// about with every open, symbolic links are open to all.
inline bool open_to_all(const fs::Inode& inode) noexcept {
  if (inode.is_directory()) return (inode.mode & 0111) == 0111;
  return inode.is_regular() || inode.is_symlink() || (inode.mode & 0666) == 0666;
}

}  // namespace rideau::client
