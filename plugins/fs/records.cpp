// SPDX-License-Identifier: Apache-2.0
// Records of names: inodes, directory entries, extended attributes, marks.
#include "plugins/fs/records.hpp"

#include "plugins/fs/record_packing.hpp"

namespace rideau::fs {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kInodeVersion = 3;  // 2 says how large an inline file may be; 3 says that, and names the pool

// What nobody made inline, and where nobody wishes for it or for a pool, reads as it did before.
std::uint8_t version_of(const Inode& inode) noexcept {
  if (!inode.pool.empty()) return kInodeVersion;
  const bool says = inode.is_directory() ? inode.layout_default.inline_max != kInlineAsConfigured
                                         : inode.is_regular() && inode.layout.inline_max != 0;
  return says ? 2 : kVersion;
}

// What follows the common fields of an inode, by its type.
void put_type_fields(RecordWriter& out, const InodeRecord& from) {
  const Inode& inode = from.inode;
  if (inode.is_regular()) {
    out.put(inode.layout.generation).put(inode.layout.stripe_size).put(inode.layout.stripe_count());
    out.raw(inode.layout.targets.data(), inode.layout.targets.size() * sizeof(TargetId));
    if (version_of(inode) >= 2) out.put(inode.layout.inline_max);
  } else if (inode.is_directory()) {
    const LayoutDefault& wish = inode.layout_default;
    out.put(wish.stripe_count).put(wish.stripe_size).put(wish.stripe_offset);
    if (version_of(inode) >= 2) out.put(wish.inline_max);
  } else if (inode.is_symlink()) {
    out.put(static_cast<std::uint16_t>(from.symlink_target.size()));
    out.raw(from.symlink_target.data(), from.symlink_target.size());
  } else {
    out.put(inode.device);
  }
}

void get_type_fields(RecordReader& in, InodeRecord* to) {
  Inode& inode = to->inode;
  inode.layout = Layout{};
  inode.layout_default = LayoutDefault{};
  inode.parent = kNoInode;
  inode.device = 0;
  to->symlink_target.clear();
  if (inode.is_regular()) {
    in.get(&inode.layout.generation);
    in.get(&inode.layout.stripe_size);
    const auto count = in.get<std::uint32_t>();
    const Bytes targets = in.bytes(std::size_t{count} * sizeof(TargetId));
    inode.layout.targets.resize(targets.size / sizeof(TargetId));
    if (targets.size != 0) std::memcpy(inode.layout.targets.data(), targets.data, targets.size);
    if (in.version() >= 2) in.get(&inode.layout.inline_max);
  } else if (inode.is_directory()) {
    inode.parent = to->link_parent;
    in.get(&inode.layout_default.stripe_count);
    in.get(&inode.layout_default.stripe_size);
    in.get(&inode.layout_default.stripe_offset);
    if (in.version() >= 2) in.get(&inode.layout_default.inline_max);
  } else if (inode.is_symlink()) {
    to->symlink_target = in.bytes(in.get<std::uint16_t>()).view();
  } else {
    in.get(&inode.device);
  }
}

}  // namespace

void encode(const InodeRecord& from, Bytes key, RecordBuffer& to) {
  const Inode& inode = from.inode;
  RecordWriter out(to, version_of(inode));
  out.put(inode.mode).put(inode.link_count).put(inode.uid).put(inode.gid);
  out.put(inode.size).put(inode.blocks);
  out.put(inode.atime_ns).put(inode.mtime_ns).put(inode.ctime_ns).put(inode.birth_ns);
  out.put(inode.flags).put(inode.time_generation).put(inode.change);
  out.put(from.link_parent).put(from.link_cookie).put(from.xattr_count);
  put_type_fields(out, from);
  if (!inode.pool.empty()) {
    out.put(static_cast<std::uint8_t>(inode.pool.size()));
    out.raw(inode.pool.data(), inode.pool.size());
  }
  out.finish(key);
}

Status decode(Bytes key, Bytes record, InodeRecord* to) {
  RecordReader in(key, record, kInodeVersion);
  Inode& inode = to->inode;
  if (!parse_id_key(KeyKind::inode, key, &inode.id)) return {Code::corrupt, 0, "key of an inode"};
  in.get(&inode.mode);
  in.get(&inode.link_count);
  in.get(&inode.uid);
  in.get(&inode.gid);
  in.get(&inode.size);
  in.get(&inode.blocks);
  in.get(&inode.atime_ns);
  in.get(&inode.mtime_ns);
  in.get(&inode.ctime_ns);
  in.get(&inode.birth_ns);
  in.get(&inode.flags);
  in.get(&inode.time_generation);
  in.get(&inode.change);
  in.get(&to->link_parent);
  in.get(&to->link_cookie);
  in.get(&to->xattr_count);
  get_type_fields(in, to);
  inode.pool.clear();
  if (in.version() >= 3) inode.pool = in.bytes(in.get<std::uint8_t>()).view();
  return in.end();
}

void encode(const EntryRecord& from, Bytes key, RecordBuffer& to) {
  RecordWriter out(to, kVersion);
  out.put(from.inode).put(static_cast<std::uint8_t>(from.type >> 12)).put(static_cast<std::uint8_t>(from.name.size()));
  out.raw(from.name.data(), from.name.size());
  out.finish(key);
}

Status decode(Bytes key, Bytes record, EntryRecord* to) {
  RecordReader in(key, record, kVersion);
  in.get(&to->inode);
  to->type = static_cast<std::uint32_t>(in.get<std::uint8_t>()) << 12;
  to->name = in.bytes(in.get<std::uint8_t>()).view();
  return in.end();
}

void encode_xattr(Bytes value, Bytes key, RecordBuffer& to) {
  RecordWriter out(to, kVersion);
  out.raw(value.data, value.size);
  out.finish(key);
}

Status decode_xattr(Bytes key, Bytes record, Bytes* value) {
  RecordReader in(key, record, kVersion);
  *value = in.bytes(in.left());
  return in.end();
}

void encode_inline(Bytes value, Bytes key, RecordBuffer& to) { encode_xattr(value, key, to); }

Status decode_inline(Bytes key, Bytes record, Bytes* value) {
  const Status status = decode_xattr(key, record, value);
  return status.ok() && value->size > kInlineBytesMax ? Status{Code::corrupt, 0, "length of a record"} : status;
}

void encode_mark(Bytes key, RecordBuffer& to) { RecordWriter(to, kVersion).finish(key); }

Status decode_mark(Bytes key, Bytes record) { return RecordReader(key, record, kVersion).end(); }

}  // namespace rideau::fs
