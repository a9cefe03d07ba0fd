// SPDX-License-Identifier: Apache-2.0
// Identifiers of the file system. Formats are final: they stand on disk, on the wire and in users' file handles.
#pragma once

#include "rideau/object_store.hpp"

#include <cstdint>

namespace rideau::fs {

// 64 bits, never reused: a 24-bit sequence leased to a metadata target, then a 40-bit counter. It is st_ino, the FUSE
// node id and the file handle of open_by_handle_at. Sequence 0 is the cluster's own: the root is 1.
using InodeId = std::uint64_t;

constexpr InodeId kNoInode = 0;
constexpr InodeId kRootInode = 1;
constexpr unsigned kCounterBits = 40;
constexpr std::uint64_t kCounterMax = (1ull << kCounterBits) - 1;
constexpr std::uint32_t kSequenceMax = (1u << 24) - 1;

constexpr InodeId make_inode_id(std::uint32_t sequence, std::uint64_t counter) noexcept {
  return static_cast<std::uint64_t>(sequence) << kCounterBits | counter;
}

using TargetId = std::uint32_t;  // 0: none

// Objects are never allocated: their id follows from the inode. A new layout of an inode takes a new generation, so an
// id never comes back with other bytes.
constexpr ObjectId object_id(InodeId inode, std::uint32_t layout_generation, std::uint32_t stripe_index) noexcept {
  return {inode, static_cast<std::uint64_t>(layout_generation) << 32 | stripe_index};
}
constexpr InodeId owner_of(ObjectId id) noexcept { return id.high; }
constexpr std::uint32_t generation_of(ObjectId id) noexcept { return static_cast<std::uint32_t>(id.low >> 32); }
constexpr std::uint32_t stripe_index_of(ObjectId id) noexcept { return static_cast<std::uint32_t>(id.low); }

// Place of an entry in its directory: 55 bits of keyed hash of the name, 8 bits that part equal hashes, fixed when the
// entry is made. Always positive as a signed 64-bit number; 0 to 2 are reserved (start, ".", "..").
using Cookie = std::uint64_t;
constexpr Cookie kCookieStart = 0;
constexpr Cookie kCookieDot = 1;
constexpr Cookie kCookieDotDot = 2;
constexpr unsigned kTieBits = 8;

using HandleId = std::uint64_t;  // of an open file, unique in the session that opened it

}  // namespace rideau::fs
