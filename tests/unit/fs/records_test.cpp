// SPDX-License-Identifier: Apache-2.0
// Goal: keys order as the index needs them; records come back as they were; damage, a wrong place and a newer version
// are told apart and never do more harm than an error.
#include "plugins/fs/records.hpp"

#include "framework/base/checksum.hpp"

#include <catch2/catch.hpp>

#include <random>

using namespace rideau;
using namespace rideau::fs;

namespace {

Bytes view(const RecordBuffer& record) { return {record.data(), record.size()}; }

// Puts another version into a record whose checksum stays right.
void set_version(RecordBuffer& record, Bytes key, std::uint8_t version) {
  record[0] = version;
  const std::uint32_t sum = crc32c(Bytes(record.data(), record.size() - 4), crc32c(key));
  std::memcpy(record.data() + record.size() - 4, &sum, 4);
}

template <class Record>
void check_damage(const Record& from, const Key& key, const Key& other) {
  RecordBuffer record;
  encode(from, key, record);
  Record back;
  REQUIRE(decode(key, view(record), &back).ok());
  REQUIRE(decode(other, view(record), &back).code == Code::corrupt);
  for (std::size_t size = 0; size < record.size(); ++size) {
    REQUIRE(decode(key, Bytes(record.data(), size), &back).code == Code::corrupt);
  }
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    RecordBuffer flipped = record;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    REQUIRE(decode(key, view(flipped), &back).code == Code::corrupt);
  }
  set_version(record, key, 200);
  REQUIRE(decode(key, view(record), &back).code == Code::refused);
  set_version(record, key, 0);
  REQUIRE(decode(key, view(record), &back).code == Code::refused);
  // A length that lies, under a checksum that fits.
  std::mt19937_64 random(record.size());
  for (int i = 0; i < 500; ++i) {
    encode(from, key, record);
    for (int n = 0; n < 4; ++n) record[1 + random() % (record.size() - 5)] = static_cast<std::uint8_t>(random());
    set_version(record, key, 1);
    static_cast<void>(decode(key, view(record), &back));
  }
}

InodeRecord sample(std::uint32_t mode) {
  InodeRecord record;
  Inode& inode = record.inode;
  inode.id = make_inode_id(7, 8);
  inode.mode = mode;
  inode.link_count = 3;
  inode.uid = 1;
  inode.gid = 2;
  inode.size = 4;
  inode.blocks = 5;
  inode.atime_ns = -6;
  inode.mtime_ns = 7;
  inode.ctime_ns = 8;
  inode.birth_ns = 9;
  inode.flags = 0;
  inode.time_generation = 10;
  inode.change = 11;
  record.link_parent = 12;
  record.link_cookie = 13;
  record.xattr_count = 14;
  return record;
}

InodeRecord there_and_back(const InodeRecord& from) {
  const Key key = inode_key(from.inode.id);
  RecordBuffer bytes;
  encode(from, key, bytes);
  InodeRecord back;
  REQUIRE(decode(key, view(bytes), &back).ok());
  REQUIRE(std::tie(back.inode.id, back.inode.mode, back.inode.link_count, back.inode.uid, back.inode.gid) ==
          std::tie(from.inode.id, from.inode.mode, from.inode.link_count, from.inode.uid, from.inode.gid));
  REQUIRE(std::tie(back.inode.size, back.inode.blocks, back.inode.atime_ns, back.inode.mtime_ns, back.inode.ctime_ns,
                   back.inode.birth_ns, back.inode.flags, back.inode.time_generation, back.inode.change) ==
          std::tie(from.inode.size, from.inode.blocks, from.inode.atime_ns, from.inode.mtime_ns, from.inode.ctime_ns,
                   from.inode.birth_ns, from.inode.flags, from.inode.time_generation, from.inode.change));
  REQUIRE(std::tie(back.link_parent, back.link_cookie, back.xattr_count, back.symlink_target) ==
          std::tie(from.link_parent, from.link_cookie, from.xattr_count, from.symlink_target));
  return back;
}

}  // namespace

TEST_CASE("inode records of every type", "[fs][records]") {
  InodeRecord file = sample(S_IFREG | 0640);
  file.inode.layout = {3, 1 << 20, {5, 6, 7}};
  REQUIRE(there_and_back(file).inode.layout == file.inode.layout);
  InodeRecord directory = sample(S_IFDIR | 0750);
  directory.inode.layout_default = {kStripeAll, 1 << 16, 2};
  const InodeRecord back = there_and_back(directory);
  REQUIRE(back.inode.layout_default == directory.inode.layout_default);
  REQUIRE(back.inode.parent == directory.link_parent);
  InodeRecord link = sample(S_IFLNK | 0777);
  link.symlink_target = std::string(4095, 't');
  REQUIRE(there_and_back(link).symlink_target == link.symlink_target);
  InodeRecord node = sample(S_IFBLK | 0600);
  node.inode.device = 0x812;
  REQUIRE(there_and_back(node).inode.device == 0x812);
  InodeRecord small = file;
  small.inode.flags |= kInline;
  small.inode.layout.inline_max = 4096;
  REQUIRE(there_and_back(small).inode.layout == small.inode.layout);
  InodeRecord wish = directory;
  wish.inode.layout_default.inline_max = 0;
  REQUIRE(there_and_back(wish).inode.layout_default == wish.inode.layout_default);
  InodeRecord pooled = file;
  pooled.inode.pool = "fast";
  REQUIRE(there_and_back(pooled).inode.pool == "fast");
  REQUIRE(there_and_back(pooled).inode.layout == file.inode.layout);
  REQUIRE(there_and_back(file).inode.pool.empty());
  InodeRecord both = small;
  both.inode.pool = "fast";
  REQUIRE(there_and_back(both).inode.pool == "fast");
  REQUIRE(there_and_back(both).inode.layout == small.inode.layout);
  InodeRecord pool_wish = wish;
  pool_wish.inode.pool = "fast";
  REQUIRE(there_and_back(pool_wish).inode.layout_default == wish.inode.layout_default);
  for (const auto& record : {file, directory, node, small, wish, pooled, both, pool_wish})
    check_damage(record, inode_key(record.inode.id), inode_key(99));
}

TEST_CASE("what has nothing to do with inline files or pools reads as it did", "[fs][records]") {
  RecordBuffer bytes;
  const auto version = [&bytes](const InodeRecord& record) {
    encode(record, inode_key(record.inode.id), bytes);
    return bytes[0];
  };
  InodeRecord file = sample(S_IFREG | 0640);
  file.inode.layout = {3, 1 << 20, {5, 6, 7}};
  REQUIRE(version(file) == 1);
  REQUIRE(version(sample(S_IFDIR | 0750)) == 1);
  REQUIRE(version(sample(S_IFLNK | 0777)) == 1);
  file.inode.layout.inline_max = 1;
  REQUIRE(version(file) == 2);
  file.inode.pool = "fast";
  REQUIRE(version(file) == 3);
  file.inode.layout.inline_max = 0;
  REQUIRE(version(file) == 3);
}

TEST_CASE("the bytes of an inline file", "[fs][records]") {
  const Key key = inline_key(make_inode_id(7, 8));
  RecordBuffer record;
  Bytes back;
  for (const std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{kInlineBytesMax}}) {
    const std::string bytes(size, 'b');
    encode_inline(Bytes(bytes), key, record);
    REQUIRE(decode_inline(key, view(record), &back).ok());
    REQUIRE(back.view() == bytes);
    REQUIRE(decode_inline(inline_key(1), view(record), &back).code == Code::corrupt);
    record[record.size() / 2] ^= 1;
    REQUIRE(decode_inline(key, view(record), &back).code == Code::corrupt);
  }
  const std::string too_many(kInlineBytesMax + 1, 'b');
  encode_inline(Bytes(too_many), key, record);
  REQUIRE(decode_inline(key, view(record), &back).code == Code::corrupt);
  InodeId inode = 0;
  REQUIRE(parse_id_key(KeyKind::inline_bytes, key, &inode));
  REQUIRE(inode == make_inode_id(7, 8));
}

TEST_CASE("generations that were spent are not used again", "[fs][records]") {
  Inode inode;
  inode.layout.generation = 7;
  REQUIRE(inode.next_generation() == 8);
  inode.flags |= 3u << kSpentShift;
  REQUIRE(inode.next_generation() == 11);
  inode.flags |= kSpentMask;
  REQUIRE(inode.next_generation() == 7 + kSpentMax + 1);
}

TEST_CASE("other records", "[fs][records]") {
  const Key key = entry_key(5, 600);
  RecordBuffer bytes;
  const EntryRecord entry{77, S_IFDIR, "a name"};
  encode(entry, key, bytes);
  EntryRecord entry_back;
  REQUIRE(decode(key, view(bytes), &entry_back).ok());
  REQUIRE(entry_back.inode == 77);
  REQUIRE(entry_back.type == S_IFDIR);
  REQUIRE(entry_back.name == "a name");
  check_damage(entry, key, entry_key(5, 601));

  Superblock block;
  REQUIRE(block.format_version == kFormatWithInline);
  block.cluster = make_uuid({1, 2});
  block.target = 3;
  block.hash_seed = 4;
  block.inode_sequence = 5;
  block.counter_reserved = 6;
  block.boot_epoch = 7;
  block.made_ns = 8;
  block.sweep_from = 9;
  check_damage(block, superblock_key(), counters_key());
  encode(block, superblock_key(), bytes);
  Superblock block_back;
  REQUIRE(decode(superblock_key(), view(bytes), &block_back).ok());
  REQUIRE(std::tie(block.cluster, block.target, block.hash_seed, block.inode_sequence, block.counter_reserved,
                   block.boot_epoch, block.made_ns, block.sweep_from) ==
          std::tie(block_back.cluster, block_back.target, block_back.hash_seed, block_back.inode_sequence,
                   block_back.counter_reserved, block_back.boot_epoch, block_back.made_ns, block_back.sweep_from));
  block.format_version = kFormatVersion + 1;
  encode(block, superblock_key(), bytes);
  REQUIRE(decode(superblock_key(), view(bytes), &block_back).code == Code::refused);

  check_damage(Counters{1, 2, 3, 4}, counters_key(), superblock_key());
  check_damage(SessionRecord{make_uuid({4}), "host:/mnt", 9}, session_key(1), session_key(2));
  const std::uint8_t reply[] = {1, 2, 3};
  const SlotRecord slot{8, 9, 4, posix_error(EEXIST), 10, 11, 12, true, Bytes(reply, 3)};
  check_damage(slot, slot_key(1, 2), slot_key(1, 3));
  encode(slot, slot_key(1, 2), bytes);
  SlotRecord slot_back;
  REQUIRE(decode(slot_key(1, 2), view(bytes), &slot_back).ok());
  REQUIRE(std::tie(slot.sequence, slot.transaction, slot.method, slot.status.code, slot.status.os_error,
                   slot.body_kept) == std::tie(slot_back.sequence, slot_back.transaction, slot_back.method,
                                               slot_back.status.code, slot_back.status.os_error, slot_back.body_kept));
  REQUIRE(std::tie(slot.opened_handle, slot.opened_inode, slot.opened_flags) ==
          std::tie(slot_back.opened_handle, slot_back.opened_inode, slot_back.opened_flags));
  REQUIRE(slot_back.body.view() == slot.body.view());
  check_damage(DestroyRecord{{1, 2, 3}}, destroy_key(1, 2), destroy_key(1, 3));
  const DrainRecord drain{DrainState::drained, 1 << 20, 3, 4, 5};
  check_damage(drain, drain_key(9), drain_key(10));
  encode(drain, drain_key(9), bytes);
  DrainRecord drain_back;
  REQUIRE(decode(drain_key(9), view(bytes), &drain_back).ok());
  REQUIRE(
      std::tie(drain.state, drain.bytes_per_second, drain.begun_ns, drain.files, drain.bytes) ==
      std::tie(drain_back.state, drain_back.bytes_per_second, drain_back.begun_ns, drain_back.files, drain_back.bytes));
  TargetId drained = 0;
  REQUIRE(parse_drain_key(drain_key(9), &drained));
  REQUIRE(drained == 9);
  REQUIRE_FALSE(parse_drain_key(destroy_key(1, 2), &drained));

  const Key mark = back_link_key(1, 2, 3);
  encode_mark(mark, bytes);
  REQUIRE(decode_mark(mark, view(bytes)).ok());
  REQUIRE(decode_mark(back_link_key(1, 2, 4), view(bytes)).code == Code::corrupt);
  const Key attribute = xattr_key(1, "user.x");
  encode_xattr(Bytes(reply, 3), attribute, bytes);
  Bytes value;
  REQUIRE(decode_xattr(attribute, view(bytes), &value).ok());
  REQUIRE(compare(value, Bytes(reply, 3)) == 0);
}

TEST_CASE("keys", "[fs][records]") {
  // Big-endian numbers: key order is number order.
  REQUIRE(compare(entry_key(1, 255), entry_key(1, 256)) < 0);
  REQUIRE(compare(entry_key(1, UINT64_MAX), entry_key(2, 0)) < 0);
  REQUIRE(compare(inode_key(UINT64_MAX), entry_key(0, 0)) < 0);
  InodeId inode = 0;
  Cookie cookie = 0;
  REQUIRE(parse_entry_key(entry_key(1ull << 63, 9), &inode, &cookie));
  REQUIRE(inode == 1ull << 63);
  REQUIRE(cookie == 9);
  REQUIRE_FALSE(parse_entry_key(inode_key(1), &inode, &cookie));
  std::uint32_t generation = 0;
  REQUIRE(parse_destroy_key(destroy_key(5, 6), &inode, &generation));
  REQUIRE(inode == 5);
  REQUIRE(generation == 6);
  std::string_view name;
  const Key longest = xattr_key(5, std::string(limits::kXattrNameBytesMax, 'x'));
  REQUIRE(parse_xattr_key(longest, &inode, &name));
  REQUIRE(name.size() == limits::kXattrNameBytesMax);
  REQUIRE_FALSE(parse_xattr_key(xattr_key(5, ""), &inode, &name));

  std::mt19937_64 random(1);
  for (int i = 0; i < 10'000; ++i) {
    const Cookie first = first_cookie(std::to_string(random()), random());
    REQUIRE(first > kCookieDotDot);
    REQUIRE(static_cast<std::int64_t>(last_cookie(first)) > 0);
    REQUIRE(last_cookie(first) - first <= 255);
  }
  REQUIRE(first_cookie("a", 1) != first_cookie("a", 2));
}
