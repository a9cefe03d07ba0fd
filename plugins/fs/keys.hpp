// SPDX-License-Identifier: Apache-2.0
// Keys of a metadata target's index: one byte of kind, then big-endian numbers, so that what belongs together lies
// together in key order. Final formats; docs/on_disk.md describes them.
#pragma once

#include "framework/base/limits.hpp"
#include "plugins/fs/ids.hpp"
#include "rideau/buffer.hpp"

#include <cstdint>
#include <string_view>

namespace rideau::fs {

enum class KeyKind : std::uint8_t {
  superblock = 0x01,
  counters = 0x02,
  inode = 0x10,
  entry = 0x11,  // of a directory
  xattr = 0x12,
  back_link = 0x13,
  open_unlinked = 0x14,
  session = 0x15,
  slot = 0x16,
  destroy = 0x17,  // objects to destroy
  change = 0x18,   // reserved: the change log
  inline_bytes = 0x19,
  drain = 0x1a,  // an object target that takes no new files
};

class Key {
 public:
  static constexpr std::size_t kBytesMax = 1 + 8 + limits::kXattrNameBytesMax;

  explicit Key(KeyKind kind) noexcept : size_(1) { bytes_[0] = static_cast<std::uint8_t>(kind); }
  Key& u64(std::uint64_t value) noexcept {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_[size_++] = static_cast<std::uint8_t>(value >> shift);
    return *this;
  }
  Key& u32(std::uint32_t value) noexcept {
    for (int shift = 24; shift >= 0; shift -= 8) bytes_[size_++] = static_cast<std::uint8_t>(value >> shift);
    return *this;
  }
  void drop_last() noexcept { --size_; }
  // At most kXattrNameBytesMax bytes.
  Key& text(std::string_view value) noexcept {
    std::memcpy(bytes_ + size_, value.data(), value.size());
    size_ += static_cast<std::uint32_t>(value.size());
    return *this;
  }
  operator Bytes() const noexcept { return {bytes_, size_}; }

 private:
  std::uint32_t size_;
  std::uint8_t bytes_[kBytesMax];
};

inline Key superblock_key() noexcept { return Key(KeyKind::superblock); }
inline Key counters_key() noexcept { return Key(KeyKind::counters); }
inline Key inode_key(InodeId inode) noexcept { return Key(KeyKind::inode).u64(inode); }
inline Key entry_key(InodeId directory, Cookie cookie) noexcept {
  return Key(KeyKind::entry).u64(directory).u64(cookie);
}
// What the keys of all entries have in common that this directory can have for names of one hash.
inline Key entry_hash_key(InodeId directory, Cookie cookie) noexcept {
  static_assert(kTieBits == 8);
  Key key = entry_key(directory, cookie);
  key.drop_last();
  return key;
}
inline Key xattr_key(InodeId inode, std::string_view name) noexcept {
  return Key(KeyKind::xattr).u64(inode).text(name);
}
inline Key back_link_key(InodeId inode, InodeId parent, Cookie cookie) noexcept {
  return Key(KeyKind::back_link).u64(inode).u64(parent).u64(cookie);
}
inline Key open_unlinked_key(InodeId inode) noexcept { return Key(KeyKind::open_unlinked).u64(inode); }
inline Key session_key(std::uint64_t session) noexcept { return Key(KeyKind::session).u64(session); }
inline Key slot_key(std::uint64_t session, std::uint32_t slot) noexcept {
  return Key(KeyKind::slot).u64(session).u32(slot);
}
inline Key destroy_key(InodeId inode, std::uint32_t layout_generation) noexcept {
  return Key(KeyKind::destroy).u64(inode).u32(layout_generation);
}

inline Key inline_key(InodeId inode) noexcept { return Key(KeyKind::inline_bytes).u64(inode); }

inline Key drain_key(TargetId target) noexcept { return Key(KeyKind::drain).u32(target); }

// Parts of keys that were read back. False when the key has another shape.
bool parse_entry_key(Bytes key, InodeId* directory, Cookie* cookie) noexcept;
bool parse_xattr_key(Bytes key, InodeId* inode, std::string_view* name) noexcept;
bool parse_destroy_key(Bytes key, InodeId* inode, std::uint32_t* layout_generation) noexcept;
bool parse_slot_key(Bytes key, std::uint64_t* session, std::uint32_t* slot) noexcept;
bool parse_drain_key(Bytes key, TargetId* target) noexcept;
bool parse_id_key(KeyKind kind, Bytes key, std::uint64_t* id) noexcept;  // inode, open_unlinked, session, inline_bytes

inline bool is_kind(Bytes key, KeyKind kind) noexcept {
  return key.size != 0 && key.data[0] == static_cast<std::uint8_t>(kind);
}
inline bool has_prefix(Bytes key, Bytes prefix) noexcept {
  return key.size >= prefix.size && std::memcmp(key.data, prefix.data, prefix.size) == 0;
}

// The first cookie that an entry of this name may have; it takes the first free one up to last_cookie().
Cookie first_cookie(std::string_view name, std::uint64_t hash_seed) noexcept;
constexpr Cookie last_cookie(Cookie first) noexcept { return first | ((1u << kTieBits) - 1); }

}  // namespace rideau::fs
