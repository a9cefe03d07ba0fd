// SPDX-License-Identifier: Apache-2.0
// An inode as every role sees it: attributes and layout. Times are nanoseconds since 1970 on the metadata server's
// clock.
#pragma once

#include "plugins/fs/access_list.hpp"
#include "plugins/fs/ids.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <sys/stat.h>

namespace rideau::fs {

// How the bytes of a file lie on targets: stripe i of `stripe_size` bytes is in object (i mod count), whose target is
// targets[i mod count]. A file without bytes ever written has its layout all the same; objects come with the first
// write.
struct Layout {
  std::uint32_t generation = 0;
  std::uint32_t stripe_size = 0;  // bytes, a multiple of 64 KiB
  std::vector<TargetId> targets;  // one a stripe; empty for all but regular files
  std::uint32_t inline_max = 0;   // a file that was never larger than so many bytes has them beside its inode: kInline
  std::uint32_t stripe_count() const noexcept { return static_cast<std::uint32_t>(targets.size()); }
  friend bool operator==(const Layout&, const Layout&) = default;
};

constexpr std::uint32_t kInlineBytesMax = 64 * 1024;  // the greatest Layout::inline_max
constexpr std::uint32_t kInlineAsConfigured = 0xffff'ffff;

// Wish for new files; 0: as the parent has it. Of directories: what files made in it get.
struct LayoutDefault {
  std::uint32_t stripe_count = 0;  // kStripeAll: all targets
  std::uint32_t stripe_size = 0;
  std::int32_t stripe_offset = -1;  // index of the first target; -1: the metadata server chooses
  std::uint32_t inline_max = kInlineAsConfigured;
  friend bool operator==(const LayoutDefault&, const LayoutDefault&) = default;
};
constexpr std::uint32_t kStripeAll = 0xffff'ffff;
// Of the name of a pool, as of all names that a configuration gives.
constexpr std::size_t kPoolNameBytesMax = 63;

enum InodeFlags : std::uint32_t {
  kExact = 1,         // size, blocks and mtime of the record are right; cleared while somebody may be writing
  kCapability = 2,    // it has a security.capability, which goes with the next write, cut or change of owner
  kUntouched = 4,     // nobody sent bytes of it anywhere, so it has no objects; worth nothing once its target restarted
  kAccessList = 8,    // its permissions are an access control list's as well (fs::kAccessListXattr)
  kDefaultList = 16,  // a directory with a list for what is made in it (fs::kDefaultListXattr)
  kInline = 32,       // its bytes are in its inline record, and what objects may have means nothing
};
// In the flags of a regular file: how many generations above its layout's were used by moves that did not come to their
// end. Objects with their ids were destroyed, so they cannot be used again.
constexpr unsigned kSpentShift = 8;
constexpr std::uint32_t kSpentMax = 0xffff;
constexpr std::uint32_t kSpentMask = kSpentMax << kSpentShift;

// A lock in one number: its mode (of framework/lock) in the two lowest bits, above them the number of its grant; 0:
// none.
using LockWord = std::uint64_t;
// In the place of the mode: a shared lock of a file that is locked in parts. Size, times and bytes are not covered by
// it: size and times are asked for, bytes are locked by extents.
constexpr std::uint32_t kDividedMode = 3;
constexpr bool is_divided(LockWord word) noexcept { return (word & 3) == kDividedMode; }
// The numbers of a boot epoch begin behind the epoch shifted so far: those of earlier epochs are smaller.
constexpr unsigned kGrantsPerEpochBits = 32;

struct Inode {
  InodeId id = kNoInode;
  std::uint32_t mode = 0;  // type and permissions, as st_mode
  std::uint32_t link_count = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t device = 0;  // st_rdev of device nodes
  std::uint64_t size = 0;    // bytes
  std::uint64_t blocks = 0;  // of 512 bytes
  std::int64_t atime_ns = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;
  std::int64_t birth_ns = 0;
  std::uint32_t flags = kExact;
  std::uint32_t time_generation = 0;  // grows with utimes: times of older data do not override newer ones
  std::uint64_t change = 0;           // transaction of the last change: grows with each
  InodeId parent = kNoInode;          // of directories: what ".." is
  Layout layout{};                    // of regular files
  LayoutDefault layout_default{};     // of directories
  std::string pool;                   // of targets that bytes lie on, of files and directories; empty: all
  std::shared_ptr<const AccessList> access_list{};  // with kAccessList; not in the record, but in an attribute
  LockWord lock = 0;                                // in an answer: what its receiver holds of this inode; never stored

  bool is_directory() const noexcept { return S_ISDIR(mode); }
  bool is_regular() const noexcept { return S_ISREG(mode); }
  bool is_symlink() const noexcept { return S_ISLNK(mode); }
  bool is_inline() const noexcept { return (flags & kInline) != 0; }
  // The least generation that another layout of this file can have.
  std::uint32_t next_generation() const noexcept {
    return layout.generation + ((flags & kSpentMask) >> kSpentShift) + 1;
  }
};

}  // namespace rideau::fs
