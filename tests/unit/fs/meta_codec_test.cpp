// SPDX-License-Identifier: Apache-2.0
// Goal: every body of a metadata call comes back field by field as it was sent, and no body from outside, cut short or
// with flipped bits, does more than be refused.
#include "plugins/fs/codec.hpp"
#include "framework/base/limits.hpp"

#include <catch2/catch.hpp>

#include <random>
#include <tuple>

namespace rideau::fs {
bool operator==(const SizeUpdate& a, const SizeUpdate& b) {
  return std::tie(a.size, a.blocks, a.mtime_ns, a.time_generation, a.present, a.at_least, a.cutting) ==
         std::tie(b.size, b.blocks, b.mtime_ns, b.time_generation, b.present, b.at_least, b.cutting);
}
bool operator==(const LockItem& a, const LockItem& b) { return a.resource == b.resource && a.number == b.number; }
bool operator==(const ReclaimedOpen& a, const ReclaimedOpen& b) {
  return std::tie(a.handle, a.inode, a.flags, a.nameless) == std::tie(b.handle, b.inode, b.flags, b.nameless);
}
bool operator==(const ReclaimedLock& a, const ReclaimedLock& b) { return a.inode == b.inode && a.mode == b.mode; }
bool operator==(const SetAdvisoryLockRequest& a, const SetAdvisoryLockRequest& b) {
  return std::tie(a.inode, a.owner, a.family, a.mode, a.first, a.last, a.wait, a.ticket, a.process) ==
         std::tie(b.inode, b.owner, b.family, b.mode, b.first, b.last, b.wait, b.ticket, b.process);
}
}  // namespace rideau::fs

using namespace rideau;
using namespace rideau::fs;

namespace {

// The fields of each struct, for comparison.
AccessList list_of(const Inode& x) { return x.access_list != nullptr ? *x.access_list : AccessList{}; }
auto fields(const Inode& x) {
  const auto plain =
      std::tie(x.id, x.mode, x.link_count, x.uid, x.gid, x.device, x.size, x.blocks, x.atime_ns, x.mtime_ns, x.ctime_ns,
               x.birth_ns, x.flags, x.time_generation, x.change, x.parent, x.layout, x.layout_default, x.pool, x.lock);
  return std::tuple_cat(plain, std::make_tuple(list_of(x)));
}
auto fields(const Caller& x) { return std::tie(x.uid, x.gid, x.groups_known, x.groups, x.umask); }
template <class A, class B, class... Rest>
auto joined(const A& a, const B& b, const Rest&... rest) {
  return std::tuple_cat(a, b, rest...);
}
auto fields(const LookupRequest& x) { return joined(fields(x.caller), std::tie(x.parent, x.name)); }
auto fields(const InodeReply& x) { return fields(x.inode); }
auto fields(const OpenReply& x) { return joined(fields(x.inode), std::tie(x.has_bytes, x.bytes)); }
auto fields(const ReadInlineRequest& x) { return std::tie(x.inode); }
auto fields(const ReadInlineReply& x) { return std::tie(x.is_inline, x.bytes); }
auto fields(const InlineBytes& x) { return std::tie(x.present, x.bytes, x.moved_out); }
auto fields(const GetAttributesRequest& x) { return std::tie(x.inode); }
auto fields(const ReadLinkRequest& x) { return std::tie(x.inode); }
auto fields(const ReadLinkReply& x) { return std::tie(x.target); }
auto fields(const SetAttributesRequest& x) {
  return joined(fields(x.caller),
                std::tie(x.inode, x.mask, x.mode, x.uid, x.gid, x.size, x.atime_ns, x.mtime_ns, x.handle),
                fields(x.bytes));
}
auto fields(const MakeRequest& x) {
  return joined(fields(x.caller), std::tie(x.parent, x.name, x.mode, x.device, x.symlink_target, x.open, x.open_flags,
                                           x.handle, x.knows_inline));
}
auto fields(const MakeReply& x) { return joined(fields(x.inode), fields(x.parent), std::tie(x.existed)); }
auto fields(const OpenRequest& x) {
  return joined(fields(x.caller), std::tie(x.inode, x.flags, x.handle, x.knows_inline, x.wants_bytes));
}
auto fields(const LinkRequest& x) { return joined(fields(x.caller), std::tie(x.inode, x.parent, x.name, x.guarded)); }
auto fields(const RemoveRequest& x) {
  return joined(fields(x.caller), std::tie(x.parent, x.name, x.directory, x.kept_open));
}
auto fields(const RemoveReply& x) { return joined(fields(x.parent), fields(x.inode), std::tie(x.destroyed)); }
auto fields(const RenameRequest& x) {
  return joined(fields(x.caller), std::tie(x.old_parent, x.old_name, x.new_parent, x.new_name, x.flags));
}
auto fields(const RenameReply& x) {
  return joined(fields(x.old_parent), fields(x.new_parent), fields(x.inode), fields(x.replaced), std::tie(x.destroyed));
}
auto fields(const ReadDirectoryRequest& x) { return std::tie(x.directory, x.after, x.entries_max, x.attributes); }
auto fields(const GetAttributeRequest& x) { return joined(fields(x.caller), std::tie(x.inode, x.name)); }
auto fields(const GetAttributeReply& x) { return std::tie(x.value); }
auto fields(const SetAttributeRequest& x) {
  return joined(fields(x.caller), std::tie(x.inode, x.name, x.value, x.flags));
}
auto fields(const ListAttributesRequest& x) { return joined(fields(x.caller), std::tie(x.inode)); }
auto fields(const ListAttributesReply& x) { return std::tie(x.names); }
auto fields(const RemoveAttributeRequest& x) { return joined(fields(x.caller), std::tie(x.inode, x.name)); }
auto fields(const StatFileSystemReply& x) { return std::tie(x.inodes_used, x.inodes_free, x.drains); }
auto fields(const SyncRequest& x) { return std::tie(x.transaction); }
auto fields(const LockRequest& x) { return std::tie(x.resource, x.mode, x.knows_parts); }
auto fields(const LockReply& x) { return std::tie(x.lock); }
auto fields(const LockExtentRequest& x) { return std::tie(x.resource, x.begin, x.end, x.mode); }
auto fields(const LockExtentReply& x) { return std::tie(x.begin, x.end, x.mode, x.number); }
auto fields(const UnlockRequest& x) { return std::tie(x.items, x.extents); }
auto fields(const RevokeRequest& x) { return std::tie(x.items, x.budget, x.extents); }
auto fields(const GlimpseRequest& x) { return std::tie(x.items); }
auto fields(const GlimpseReply& x) { return std::tie(x.items); }
auto fields(const ScanRecordsRequest& x) { return std::tie(x.from, x.count); }
auto fields(const ScanRecordsReply& x) { return std::tie(x.records, x.transaction); }
auto fields(const GetRecordsRequest& x) { return std::tie(x.keys); }
auto fields(const GetRecordsReply& x) { return std::tie(x.values, x.transaction); }
auto fields(const SetAdvisoryLockRequest& x) {
  return std::tie(x.inode, x.owner, x.family, x.mode, x.first, x.last, x.wait, x.ticket, x.process);
}
auto fields(const SetAdvisoryLockReply& x) { return std::tie(x.waits); }
auto fields(const TestAdvisoryLockRequest& x) { return std::tie(x.inode, x.owner, x.family, x.mode, x.first, x.last); }
auto fields(const TestAdvisoryLockReply& x) { return std::tie(x.mode, x.first, x.last, x.process); }
auto fields(const CancelAdvisoryLockRequest& x) { return std::tie(x.ticket); }
auto fields(const CancelAdvisoryLockReply& x) { return std::tie(x.cancelled); }
auto fields(const AdvisoryLocksGrantedRequest& x) { return std::tie(x.tickets); }
auto fields(const ReclaimRequest& x) { return std::tie(x.opens, x.locks, x.advisory, x.done); }
auto fields(const ReclaimReply& x) { return std::tie(x.locks, x.extents); }
auto fields(const CloseItem& x) {
  return joined(std::tie(x.inode, x.handle, x.update.present, x.update.size, x.update.blocks, x.update.mtime_ns,
                         x.update.time_generation, x.update.at_least, x.update.cutting, x.untouched),
                fields(x.bytes));
}
auto fields(const DirectoryEntry& x) {
  return joined(std::tie(x.cookie, x.inode, x.type, x.name), fields(x.attributes));
}

template <class T>
bool same(const T& a, const T& b) {
  return fields(a) == fields(b);
}
bool same(const CloseRequest& a, const CloseRequest& b) {
  return std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(),
                    [](const auto& x, const auto& y) { return fields(x) == fields(y); });
}
bool same(const ReadDirectoryReply& a, const ReadDirectoryReply& b) {
  return a.end == b.end && a.parent == b.parent &&
         std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                    [](const auto& x, const auto& y) { return fields(x) == fields(y); });
}

// Round trip, then the same body cut short everywhere and with bits flipped at random places.
template <class T>
void check(const T& sample) {
  wire::Encoded encoded;
  encode(sample, encoded);
  REQUIRE(encoded.bytes().size <= limits::kBodyBytesMax);
  T back;
  REQUIRE(decode(encoded.bytes(), &back).ok());
  REQUIRE(same(sample, back));

  std::mt19937_64 random(encoded.bytes().size);
  for (int i = 0; i < 2'000; ++i) {
    std::vector<std::uint64_t> words(encoded.words());
    auto* bytes = reinterpret_cast<std::uint8_t*>(words.data());
    std::size_t size = words.size() * 8;
    const auto flips = random() % 6;
    for (std::uint64_t flip = 0; flip < flips; ++flip)
      bytes[random() % size] ^= static_cast<std::uint8_t>(1 << random() % 8);
    if (random() % 3 == 0) size = random() % (size + 1);
    T mutated;
    static_cast<void>(decode(Bytes(bytes, size), &mutated));
  }
  T nothing;
  static_cast<void>(decode(Bytes(), &nothing));
}

Inode sample_inode(std::uint64_t salt, std::uint32_t stripes = 0) {
  Inode inode;
  inode.id = make_inode_id(3, salt);
  inode.mode = S_IFREG | 04755;
  inode.link_count = 2;
  inode.uid = 1000;
  inode.gid = 100;
  inode.device = 0x801;
  inode.size = 1'234'567'890'123;
  inode.blocks = 99;
  inode.atime_ns = -5;
  inode.mtime_ns = 1'700'000'000'123'456'789;
  inode.ctime_ns = 3;
  inode.birth_ns = 4;
  inode.flags = 0;
  inode.time_generation = 7;
  inode.change = 1ull << 60;
  inode.parent = 1;
  inode.layout_default = {kStripeAll, 1 << 20, 5, 4096};
  inode.pool = "fast";
  if (salt % 2 == 0) {
    inode.access_list = std::make_shared<const AccessList>(AccessList{{AccessTag::owner, 7, ~0u},
                                                                      {AccessTag::user, 6, 1000},
                                                                      {AccessTag::owning_group, 4, ~0u},
                                                                      {AccessTag::mask, 7, ~0u},
                                                                      {AccessTag::others, 1, ~0u}});
  }
  if (stripes != 0) inode.layout = {9, 1 << 20, {}, kInlineBytesMax};
  for (std::uint32_t i = 0; i < stripes; ++i) inode.layout.targets.push_back(i + 1);
  return inode;
}

Caller sample_caller() {
  Caller caller;
  caller.uid = 1000;
  caller.gid = 100;
  caller.groups_known = true;
  caller.groups = {4, 20, 65534};
  caller.umask = 027;
  return caller;
}

}  // namespace

TEST_CASE("bodies about names survive the way there and any damage", "[fs][codec]") {
  const Caller caller = sample_caller();
  check(LookupRequest{caller, 7, "a name\xff with any byte"});
  check(InodeReply{sample_inode(1, 2)});
  MakeRequest make;
  make.caller = caller;
  make.parent = 5;
  make.name = "n";
  make.mode = S_IFLNK | 0777;
  make.device = 77;
  make.symlink_target = "../over/there";
  make.open = true;
  make.open_flags = kOpenWrite | kOpenExclusive;
  make.handle = 1ull << 63;
  make.knows_inline = true;
  check(make);
  check(MakeReply{sample_inode(1), sample_inode(2, 1), true});
  check(ReadLinkRequest{8});
  check(ReadLinkReply{std::string(4095, 'x')});
  check(LinkRequest{caller, 5, 6, "linked", true});
  check(RemoveRequest{caller, 5, "gone", true, 77});
  check(RemoveReply{sample_inode(1), sample_inode(2, 7), true});
  check(RenameRequest{caller, 5, "old", 6, "new", kRenameExchange});
  check(RenameReply{sample_inode(1), sample_inode(2), sample_inode(3, 3), sample_inode(4, 4), true});
  check(ReadDirectoryRequest{5, 1ull << 62, 100, true});
  ReadDirectoryReply entries;
  entries.end = true;
  entries.parent = 12;
  for (std::uint32_t i = 0; i < 40; ++i) {
    DirectoryEntry entry{i + 3, i + 9, S_IFREG, std::string(i * 6, 'n'), {}};
    if (i % 2 == 0) entry.attributes = sample_inode(i, i);
    entries.entries.push_back(entry);
  }
  check(entries);
}

TEST_CASE("bodies about inodes and sessions survive the way there and any damage", "[fs][codec]") {
  const Caller caller = sample_caller();
  check(GetAttributesRequest{1ull << 63});
  check(SetAttributesRequest{caller, 5, kSetMode | kSetSize, 0644, 1, 2, 1ull << 40, -1, -2, 66, {}});
  check(SetAttributesRequest{caller, 5, kSetSize, 0, 0, 0, 3, 0, 0, 66, {true, "abc", false}});
  check(OpenRequest{caller, 5, kOpenRead | kOpenTruncate, 77, true, true});
  check(OpenReply{sample_inode(4, 1024), false, ""});
  check(OpenReply{sample_inode(4, 1), true, std::string("a\0b", 3)});
  check(OpenReply{sample_inode(4, 1), true, ""});
  check(ReadInlineRequest{1ull << 63});
  check(ReadInlineReply{true, std::string(kInlineBytesMax, 'x')});
  CloseRequest close;
  for (std::uint64_t i = 0; i < 20; ++i) {
    CloseItem item{i, i * 3, {}, i % 3 == 0, {}};
    if (i % 2 == 1) item.update = {i << 30, i, -static_cast<std::int64_t>(i), 4, true, i % 4 == 1, i % 8 == 5};
    if (i % 4 == 1) item.bytes = {true, std::string_view("some bytes").substr(i / 2), false};
    if (i % 4 == 3) item.bytes.moved_out = true;
    close.items.push_back(item);
  }
  check(close);
  check(GetAttributeRequest{caller, 5, "user.x"});
  check(GetAttributeReply{std::string(limits::kXattrValueBytesMax, '\0')});
  check(SetAttributeRequest{caller, 5, "user.x", std::string_view("\0value\0", 7), 1});
  check(ListAttributesRequest{caller, 5});
  check(ListAttributesReply{{"user.a", "user.b", std::string(255, 'c')}});
  check(RemoveAttributeRequest{caller, 5, "user.x"});
  check(StatFileSystemReply{5, 1ull << 50, {}});
  check(StatFileSystemReply{5, 1ull << 50, {{3, DrainState::draining, 7, 8, 9, "no room"}, {4, DrainState::removed}}});
  check(SyncRequest{1ull << 50});
  check(LockRequest{4, 2, true});
  check(LockReply{2});
  check(LockReply{9 << 2 | kDividedMode});
  check(LockExtentRequest{4, 1 << 20, ~0ull, 2});
  check(LockExtentReply{1 << 20, ~0ull, 1, 1ull << 60});
  check(UnlockRequest{{{9, 1}, {10, 1ull << 60}}, {{9, 0, ~0ull, 7}}});
  check(RevokeRequest{{{9, 1}, {10, 1ull << 60}}, 1'000, {{9, 1 << 16, 1 << 20, 1ull << 60}, {10, 0, 1, 2}}});
  check(GlimpseRequest{{{9, 1}, {10, 1ull << 60}}});
  check(GlimpseReply{{{}, {1ull << 60, 8, -5, 7, true}, {9, 1, 5, 7, true, true, true}}});
  check(ScanRecordsRequest{std::string_view("\x11\0key", 5), 77});
  check(ScanRecordsReply{{{"key", std::string("\0value", 6)}, {"other", ""}}, 1ull << 50});
  check(GetRecordsRequest{{"one", "another"}});
  check(GetRecordsReply{{"value", std::nullopt, ""}, 9});
  check(SetAdvisoryLockRequest{5, 1ull << 63, 1, 2, 10, (1ull << 63) - 1, true, 1ull << 40, 4242});
  check(SetAdvisoryLockReply{true});
  check(TestAdvisoryLockRequest{5, 1ull << 63, 2, 1, 10, 1ull << 62});
  check(TestAdvisoryLockReply{2, 1ull << 40, (1ull << 63) - 1, 4242});
  check(CancelAdvisoryLockRequest{1ull << 40});
  check(CancelAdvisoryLockReply{true});
  check(AdvisoryLocksGrantedRequest{{1, 1ull << 40, 3}});
  check(ReclaimRequest{{{1ull << 40, 5, 3, true}},
                       {{5, 2, {}}, {1ull << 50, 3, {{0, 1 << 20, 2}, {1 << 20, ~0ull, 1}}}},
                       {{5, 7, 1, 2, 0, 9, false, 0, 42}},
                       true});
  check(ReclaimReply{{0, 1ull << 62}, 1ull << 61});
}

TEST_CASE("lists and strings over their bounds are refused", "[fs][codec]") {
  wire::Encoded encoded;
  MakeRequest back;
  Caller crowd;
  crowd.groups.assign(limits::kGroupsMax + 1, 1);
  MakeRequest make;
  make.caller = crowd;
  encode(make, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &back).ok());

  const std::string long_name(limits::kPathBytesMax + 1, 'n');
  make.caller = {};
  make.name = long_name;
  encode(make, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &back).ok());

  CloseRequest close;
  CloseRequest close_back;
  close.items.resize(limits::kCloseItemsMax + 1);
  encode(close, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &close_back).ok());

  GetRecordsRequest keys;
  GetRecordsRequest keys_back;
  keys.keys.assign(kRecordsPerCallMax + 1, "key");
  encode(keys, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &keys_back).ok());
  keys.keys.assign(1, "");
  encode(keys, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &keys_back).ok());
  ScanRecordsRequest scan;
  ScanRecordsRequest scan_back;
  scan.count = kRecordsPerCallMax + 1;
  encode(scan, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &scan_back).ok());
  AdvisoryLocksGrantedRequest granted;
  AdvisoryLocksGrantedRequest granted_back;
  granted.tickets.resize(limits::kAdvisoryGrantsMax + 1);
  encode(granted, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &granted_back).ok());

  const std::string too_many(kInlineBytesMax + 1, 'b');
  close.items.assign(1, {});
  close.items[0].bytes = {true, too_many, false};
  encode(close, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &close_back).ok());

  // A layout that could not be divided by.
  InodeReply reply{sample_inode(1, 2)};
  InodeReply reply_back;
  reply.inode.layout.stripe_size = 0;
  encode(reply, encoded);
  REQUIRE_FALSE(decode(encoded.bytes(), &reply_back).ok());
}

TEST_CASE("the bound of a directory entry's size holds", "[fs][codec]") {
  for (std::size_t length : {1u, 8u, 9u, 255u}) {
    for (std::uint32_t stripes : {0u, 1u, 2u, 333u}) {
      ReadDirectoryReply reply;
      for (int i = 0; i < 100; ++i) {
        reply.entries.push_back({1, 2, 3, std::string(length, 'n'), sample_inode(1, stripes)});
      }
      wire::Encoded encoded;
      encode(reply, encoded);
      const std::size_t bound = 100 * encoded_bytes_max(reply.entries[0]) + 256;
      REQUIRE(encoded.bytes().size <= bound);
      REQUIRE(encoded.bytes().size > bound / 2);
    }
  }
}
