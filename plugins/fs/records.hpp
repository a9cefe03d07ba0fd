// SPDX-License-Identifier: Apache-2.0
// Values of a metadata target's index. Each record is: version byte, fields packed little-endian, crc32c over key and
// record. Final formats; docs/on_disk.md describes them.
//
// Version rule: a decode takes every version up to its own. A newer one is Code::refused and left untouched; a checksum
// or a length that does not fit is Code::corrupt.
#pragma once

#include "framework/base/result.hpp"
#include "framework/base/uuid.hpp"
#include "plugins/fs/drain.hpp"
#include "plugins/fs/inode.hpp"
#include "plugins/fs/keys.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rideau::fs {

using RecordBuffer = std::vector<std::uint8_t>;

// Version of the whole format: raised when an old reader would misunderstand what a new writer left. An index of
// version 1 stays one until somebody wishes for inline files there, and one of version 2 until something is drained or
// has a pool.
constexpr std::uint32_t kFormatVersion = 3;
constexpr std::uint32_t kFormatWithInline = 2;  // files may be inline
constexpr std::uint32_t kFormatWithPools = 3;   // and have pools, or leave targets that are drained

struct Superblock {
  std::uint32_t format_version = kFormatWithInline;
  Uuid cluster{};
  TargetId target = 0;
  std::uint64_t hash_seed = 0;         // of directory keys; secret, so that nobody can choose collisions
  std::uint32_t inode_sequence = 0;    // leased to this target
  std::uint64_t counter_reserved = 0;  // inode counters below it may be in use
  std::uint64_t boot_epoch = 0;        // grows with each start
  std::int64_t made_ns = 0;
  // Numbers from here on were given to creates that a crash may have lost: their objects are looked for. 0: none.
  std::uint64_t sweep_from = 0;
};

// Rewritten with every commit.
struct Counters {
  std::uint64_t transaction = 0;  // the last one in this commit
  std::uint64_t inodes = 0;
  std::uint64_t entries = 0;
  std::uint64_t next_counter = 0;  // of inode numbers; 0: not known
};

struct InodeRecord {
  Inode inode;
  // One name of this inode, kept here because most have only one; more names are back-link records. 0: not known here.
  InodeId link_parent = kNoInode;
  Cookie link_cookie = 0;
  std::uint32_t xattr_count = 0;
  std::string symlink_target;
};

struct EntryRecord {
  InodeId inode = kNoInode;
  std::uint32_t type = 0;  // S_IFMT bits
  std::string_view name;   // decoded: into the record
};

struct SessionRecord {
  Uuid client{};
  std::string_view client_name;  // decoded: into the record
  std::int64_t begun_ns = 0;
};

// The reply to the last modifying call of a slot.
struct SlotRecord {
  std::uint64_t sequence = 0;
  std::uint64_t transaction = 0;
  std::uint16_t method = 0;
  Status status{};
  // What it opened: who never had the answer does not know it, and may claim it by its handle.
  HandleId opened_handle = 0;  // 0: nothing
  InodeId opened_inode = kNoInode;
  std::uint32_t opened_flags = 0;
  bool body_kept = false;  // false: the reply was larger than limits::kKeptReplyBytesMax
  Bytes body{};            // decoded: into the record
};

struct DestroyRecord {
  std::vector<TargetId> targets;  // of the layout: object i is on targets[i]
};

struct DrainRecord {
  DrainState state = DrainState::draining;
  std::uint64_t bytes_per_second = 0;  // 0: no bound
  std::int64_t begun_ns = 0;
  std::uint64_t files = 0;  // moved so far
  std::uint64_t bytes = 0;  // of them
};

// Each encode replaces what `to` holds. The key is summed with the record: a record in a wrong place is found.
void encode(const Superblock& from, Bytes key, RecordBuffer& to);
void encode(const Counters& from, Bytes key, RecordBuffer& to);
void encode(const InodeRecord& from, Bytes key, RecordBuffer& to);
void encode(const EntryRecord& from, Bytes key, RecordBuffer& to);
void encode(const SessionRecord& from, Bytes key, RecordBuffer& to);
void encode(const SlotRecord& from, Bytes key, RecordBuffer& to);
void encode(const DestroyRecord& from, Bytes key, RecordBuffer& to);
void encode(const DrainRecord& from, Bytes key, RecordBuffer& to);
void encode_xattr(Bytes value, Bytes key, RecordBuffer& to);
void encode_inline(Bytes value, Bytes key, RecordBuffer& to);  // the bytes of a file that is kInline
void encode_mark(Bytes key, RecordBuffer& to);                 // back links, open-unlinked: the key says it all

Status decode(Bytes key, Bytes record, Superblock* to);
Status decode(Bytes key, Bytes record, Counters* to);
Status decode(Bytes key, Bytes record, InodeRecord* to);
Status decode(Bytes key, Bytes record, EntryRecord* to);
Status decode(Bytes key, Bytes record, SessionRecord* to);
Status decode(Bytes key, Bytes record, SlotRecord* to);
Status decode(Bytes key, Bytes record, DestroyRecord* to);
Status decode(Bytes key, Bytes record, DrainRecord* to);
Status decode_xattr(Bytes key, Bytes record, Bytes* value);   // into the record
Status decode_inline(Bytes key, Bytes record, Bytes* value);  // into the record
Status decode_mark(Bytes key, Bytes record);

}  // namespace rideau::fs
