// SPDX-License-Identifier: Apache-2.0
#include "plugins/fs/keys.hpp"

#include "framework/base/checksum.hpp"

namespace rideau::fs {

namespace {

std::uint64_t read_u64(const std::uint8_t* at) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | at[i];
  return value;
}
std::uint32_t read_u32(const std::uint8_t* at) noexcept {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | at[i];
  return value;
}

}  // namespace

bool parse_entry_key(Bytes key, InodeId* directory, Cookie* cookie) noexcept {
  if (!is_kind(key, KeyKind::entry) || key.size != 17) return false;
  *directory = read_u64(key.data + 1);
  *cookie = read_u64(key.data + 9);
  return true;
}

bool parse_xattr_key(Bytes key, InodeId* inode, std::string_view* name) noexcept {
  if (!is_kind(key, KeyKind::xattr) || key.size < 10) return false;
  *inode = read_u64(key.data + 1);
  *name = key.view().substr(9);
  return true;
}

bool parse_destroy_key(Bytes key, InodeId* inode, std::uint32_t* layout_generation) noexcept {
  if (!is_kind(key, KeyKind::destroy) || key.size != 13) return false;
  *inode = read_u64(key.data + 1);
  *layout_generation = read_u32(key.data + 9);
  return true;
}

bool parse_slot_key(Bytes key, std::uint64_t* session, std::uint32_t* slot) noexcept {
  if (!is_kind(key, KeyKind::slot) || key.size != 13) return false;
  *session = read_u64(key.data + 1);
  *slot = read_u32(key.data + 9);
  return true;
}

bool parse_drain_key(Bytes key, TargetId* target) noexcept {
  if (!is_kind(key, KeyKind::drain) || key.size != 5) return false;
  *target = read_u32(key.data + 1);
  return true;
}

bool parse_id_key(KeyKind kind, Bytes key, std::uint64_t* id) noexcept {
  if (!is_kind(key, kind) || key.size != 9) return false;
  *id = read_u64(key.data + 1);
  return true;
}

Cookie first_cookie(std::string_view name, std::uint64_t hash_seed) noexcept {
  // The upper 55 bits of the hash, below the sign bit. Cookies 0 to 2 are reserved, so hash 0 begins at 3.
  const Cookie cookie = hash64(Bytes(name), hash_seed) >> 9 << kTieBits;
  return cookie != 0 ? cookie : kCookieDotDot + 1;
}

}  // namespace rideau::fs
