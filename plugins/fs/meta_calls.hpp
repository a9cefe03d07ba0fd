// SPDX-License-Identifier: Apache-2.0
// The calls of a metadata target, as plain structs. meta.capnp has the same on the wire, meta_codec.cpp turns one into
// the other. Strings and bytes of a decoded request are views into its message; of a decoded reply they are copies or
// views as stated. Errors travel as the Status of the reply.
#pragma once

#include "plugins/fs/caller.hpp"
#include "plugins/fs/drain.hpp"
#include "plugins/fs/ids.hpp"
#include "plugins/fs/inode.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rideau::fs {

// Numbers are wire format: append only.
enum class MetaMethod : std::uint16_t {
  lookup = 1,
  get_attributes = 2,
  set_attributes = 3,
  make = 4,  // create, mkdir, symlink, mknod; with `open` also atomic open
  open = 5,
  close = 6,  // several at once
  read_link = 7,
  link = 8,
  remove = 9,  // unlink, rmdir
  rename = 10,
  read_directory = 11,
  get_attribute = 12,  // extended attributes
  set_attribute = 13,
  list_attributes = 14,
  remove_attribute = 15,
  stat_file_system = 16,
  sync = 17,          // answers when everything up to a transaction is durable
  lock = 18,          // of framework/lock: take
  unlock = 19,        // of framework/lock: give back
  scan_records = 20,  // for the file system check
  get_records = 21,   // for the file system check
  // Locks of programs, flock(2) and fcntl(2).
  set_advisory_lock = 22,
  test_advisory_lock = 23,
  cancel_advisory_lock = 24,  // a wait
  reclaim = 25,               // after a restart of the target: what it had in memory alone
  read_inline = 26,           // the bytes of a small file
  lock_extent = 27,           // of framework/lock: a part of a file that is locked in parts
};

enum class MetaCallback : std::uint16_t {
  revoke = 1,  // give the named locks back
  advisory_locks_granted = 2,
  glimpse = 3,  // tell how large the named files are by now
};

// ".": the directory itself; "..": its parent.
struct LookupRequest {
  Caller caller;
  InodeId parent = kNoInode;
  std::string_view name;
};
struct InodeReply {  // of lookup, get_attributes, set_attributes, link
  Inode inode;
};

struct GetAttributesRequest {
  InodeId inode = kNoInode;
};

enum SetMask : std::uint32_t {
  kSetMode = 1,
  kSetUid = 2,
  kSetGid = 4,
  kSetSize = 8,
  kSetAtime = 16,
  kSetMtime = 32,
  kSetAtimeNow = 64,
  kSetMtimeNow = 128,
  kSetKillPrivileges = 256,  // drop set-id bits as a write by a non-owner would
  kSetKillCapability = 512,  // drop security.capability as any write does
};
// What a client has to say of the bytes of a file that are kept beside its inode (kInline). It has the exclusive lock.
struct InlineBytes {
  bool present = false;    // `bytes` are all that the file has, in place of what it had
  std::string_view bytes;  // at most kInlineBytesMax
  bool moved_out = false;  // they are in objects now, as durably as they were here
};

// With kSetSize the client has cut or grown the objects itself, under its lock, before (grow) or after (cut) this call.
struct SetAttributesRequest {
  Caller caller;
  InodeId inode = kNoInode;
  std::uint32_t mask = 0;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;
  std::int64_t atime_ns = 0;
  std::int64_t mtime_ns = 0;
  HandleId handle = 0;  // of the open that ftruncate came through (it needs no permission then); 0: none
  InlineBytes bytes{};  // with kSetSize; what is beyond the size goes, what is missing reads as zeros
};

enum OpenFlags : std::uint32_t {
  kOpenRead = 1,
  kOpenWrite = 2,
  kOpenTruncate = 4,
  kOpenExclusive = 8,
  kOpenExecute = 16,
  kOpenAppend = 32
};

struct MakeRequest {
  Caller caller;
  InodeId parent = kNoInode;
  std::string_view name;   // empty, with `open`: none (O_TMPFILE); kOpenExclusive: and it never gets one
  std::uint32_t mode = 0;  // type and permissions, without the umask, which is the caller's
  std::uint64_t device = 0;
  std::string_view symlink_target;
  bool open = false;  // open(O_CREAT): opens the file, an existing one too unless kOpenExclusive
  std::uint32_t open_flags = 0;
  HandleId handle = 0;        // chosen by the client, unique in its session
  bool knows_inline = false;  // clients of before files could be inline do not say so: they get no such file
};
struct MakeReply {
  Inode inode;
  Inode parent;          // the directory after the change
  bool existed = false;  // open(O_CREAT) of a file that was there
};

struct OpenRequest {
  Caller caller;
  InodeId inode = kNoInode;
  std::uint32_t flags = 0;  // with kOpenTruncate the record's size becomes 0; the client then cuts the objects
  HandleId handle = 0;
  bool knows_inline = false;  // else the open of an inline file is refused: EOPNOTSUPP
  bool wants_bytes = false;   // of an inline file, with the answer where that is a cheap thing
};
struct OpenReply {
  Inode inode;
  bool has_bytes = false;
  std::string bytes;  // all of them
};

struct ReadInlineRequest {
  InodeId inode = kNoInode;
};
struct ReadInlineReply {
  bool is_inline = false;  // false: the file's bytes are in objects
  std::string bytes;       // all of them
};

// What a writer knows at close or when it gives its lock back. The last writer's values make the record exact.
struct SizeUpdate {
  std::uint64_t size = 0;
  std::uint64_t blocks = 0;
  std::int64_t mtime_ns = 0;
  std::uint32_t time_generation = 0;
  bool present = false;
  bool at_least = false;  // others write the file as well, and may have made it larger
  bool cutting = false;   // in a glimpse: it is being cut or grown, and the rest may be of before or after
};
struct CloseItem {
  InodeId inode = kNoInode;
  HandleId handle = 0;  // 0: nothing is closed; only an update, or (without one) word that there will be objects
  SizeUpdate update{};
  bool untouched = false;  // through this handle nothing went to the objects
  InlineBytes bytes{};     // with `update`, whose size is theirs
};
struct CloseRequest {
  std::vector<CloseItem> items;
};
// The reply of close has no body.

struct ReadLinkRequest {
  InodeId inode = kNoInode;
};
struct ReadLinkReply {
  std::string target;
};

struct LinkRequest {
  Caller caller;
  InodeId inode = kNoInode;
  InodeId parent = kNoInode;
  std::string_view name;
  bool guarded = false;  // who does not own the file must be able to read and write it, as fs.protected_hardlinks wants
};

struct RemoveRequest {
  Caller caller;
  InodeId parent = kNoInode;
  std::string_view name;
  bool directory = false;  // rmdir
  HandleId kept_open = 0;  // of the file, if it is what is removed: ends with this, since nobody uses it
};
struct RemoveReply {
  Inode parent;            // after the change
  Inode inode;             // what the name meant, after the change (link_count 0: gone or open-unlinked)
  bool destroyed = false;  // it is gone: no client has it open
};

enum RenameFlags : std::uint32_t { kRenameNoReplace = 1, kRenameExchange = 2 };  // as RENAME_* of Linux
struct RenameRequest {
  Caller caller;
  InodeId old_parent = kNoInode;
  std::string_view old_name;
  InodeId new_parent = kNoInode;
  std::string_view new_name;
  std::uint32_t flags = 0;
};
struct RenameReply {
  Inode old_parent;
  Inode new_parent;
  Inode inode;             // what was moved
  Inode replaced;          // what stood at the new name (exchange: what is at the old one now); id 0: nothing
  bool destroyed = false;  // that one is gone: no client has it open
};

struct ReadDirectoryRequest {
  InodeId directory = kNoInode;
  Cookie after = kCookieStart;  // entries with a greater cookie; "." and ".." are the client's to add
  std::uint32_t entries_max = 0;
  bool attributes = false;  // with the inodes (readdirplus)
};
struct DirectoryEntry {
  Cookie cookie = 0;
  InodeId inode = kNoInode;
  std::uint32_t type = 0;  // S_IFMT bits
  std::string name;
  Inode attributes{};  // when asked for; id 0: not there
};
struct ReadDirectoryReply {
  std::vector<DirectoryEntry> entries;
  bool end = false;           // nothing follows the last entry
  InodeId parent = kNoInode;  // what ".." is
};

struct GetAttributeRequest {  // reply: GetAttributeReply
  Caller caller;
  InodeId inode = kNoInode;
  std::string_view name;
};
struct GetAttributeReply {
  std::string value;
};
struct SetAttributeRequest {
  Caller caller;
  InodeId inode = kNoInode;
  std::string_view name;
  std::string_view value;
  std::uint32_t flags = 0;  // XATTR_CREATE, XATTR_REPLACE of Linux
};
struct ListAttributesRequest {
  Caller caller;
  InodeId inode = kNoInode;
};
struct ListAttributesReply {
  std::vector<std::string> names;
};
struct RemoveAttributeRequest {
  Caller caller;
  InodeId inode = kNoInode;
  std::string_view name;
};

struct StatFileSystemReply {  // of one metadata target
  std::uint64_t inodes_used = 0;
  std::uint64_t inodes_free = 0;  // an estimate from the free space of the index
  // Object targets that take no new files, in the order of their numbers.
  struct Drain {
    TargetId target = 0;
    DrainState state = DrainState::draining;
    std::uint64_t files_moved = 0;
    std::uint64_t bytes_moved = 0;
    std::uint64_t files_left = 0;  // as far as they were counted
    std::string problem;           // why some do not move now, for people; empty: none
    friend bool operator==(const Drain&, const Drain&) = default;
  };
  std::vector<Drain> drains;  // at most kDrainsMax
};
constexpr std::uint32_t kDrainsMax = 4096;
constexpr std::uint32_t kDrainProblemBytesMax = 1024;

struct SyncRequest {
  std::uint64_t transaction = 0;  // 0: everything so far
};

// Records of the target's index as they are on disk, durable ones alone. `transaction` of a reply: what was read holds
// every change up to it, and perhaps later ones. The records of one reply are of one moment, those of two are not.
constexpr std::uint32_t kRecordsPerCallMax = 4096;
struct ScanRecordsRequest {
  std::string_view from;       // the first one has this key or the next greater one; empty: the first there is
  std::uint32_t count = 1024;  // at most, and at most kRecordsPerCallMax
};
struct ScanRecordsReply {
  std::vector<std::pair<std::string, std::string>> records;  // keys and values, by key; none: the end
  std::uint64_t transaction = 0;
};
struct GetRecordsRequest {
  std::vector<std::string_view> keys;  // at most kRecordsPerCallMax
};
struct GetRecordsReply {
  std::vector<std::optional<std::string>> values;  // one for each key asked for; nothing: no such record
  std::uint64_t transaction = 0;
};

// framework/lock: which inode in which mode. Most locks are not asked for: they ride in the inodes of answers.
struct LockRequest {
  InodeId resource = kNoInode;
  std::uint32_t mode = 0;    // lock::Mode
  bool knows_parts = false;  // the client takes a lock in parts as well
};
struct LockReply {
  LockWord lock = 0;  // what is held now; divided: bytes are locked by lock_extent
};
// A part of a file whose lock this session has in parts.
struct LockExtentRequest {
  InodeId resource = kNoInode;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;  // does not belong to it; UINT64_MAX: to the end
  std::uint32_t mode = 0;
};
struct LockExtentReply {  // what is held now, and was granted: more than was asked for where nobody is in the way
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint32_t mode = 0;
  std::uint64_t number = 0;
};
struct ExtentItem {
  InodeId resource = kNoInode;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t number = 0;  // what was granted later stays
  friend bool operator==(const ExtentItem&, const ExtentItem&) = default;
};
// A lock by its grant.
struct LockItem {
  InodeId resource = kNoInode;
  std::uint64_t number = 0;
};
struct UnlockRequest {          // its reply has no body
  std::vector<LockItem> items;  // at most limits::kLockItemsMax, as of the other list
  std::vector<ExtentItem> extents;
};
struct RevokeRequest {              // callback; its reply has no body and says only that it was heard
  std::vector<LockItem> items;      // to be given back; at most limits::kLockItemsMax
  std::uint64_t budget = 0;         // locks that the client may keep from now on; 0: as many as before
  std::vector<ExtentItem> extents;  // to be given back; at most limits::kLockItemsMax
};

// Callback: what a client knows of files that it has exclusively. It gives nothing back and writes nothing for it.
struct GlimpseRequest {
  std::vector<LockItem> items;  // at most limits::kLockItemsMax
};
struct GlimpseReply {
  std::vector<SizeUpdate> items;  // one for each; not present: it does not know, or is giving the lock back
};

// An advisory lock of a file, as framework/lock/range_locks.hpp has it: `family` is a lock::RangeFamily, `mode` a
// lock::Mode (none: unlock), both ends of the range belong to it. `owner` is a number that the client chose: a process
// (fcntl) or an open file description (flock, F_OFD_*).
struct SetAdvisoryLockRequest {
  InodeId inode = kNoInode;
  std::uint64_t owner = 0;
  std::uint32_t family = 0;
  std::uint32_t mode = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool wait = false;          // where it conflicts; the answer comes at once all the same
  std::uint64_t ticket = 0;   // of the wait: unique in the session
  std::uint32_t process = 0;  // for F_GETLK of the same client
};
struct SetAdvisoryLockReply {
  bool waits = false;  // not granted yet: a callback names the ticket when it is
};
struct TestAdvisoryLockRequest {
  InodeId inode = kNoInode;
  std::uint64_t owner = 0;
  std::uint32_t family = 0;
  std::uint32_t mode = 0;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};
struct TestAdvisoryLockReply {  // what is in the way
  std::uint32_t mode = 0;       // none: nothing
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint32_t process = 0;  // 0: of another client
};
struct CancelAdvisoryLockRequest {
  std::uint64_t ticket = 0;
};
struct CancelAdvisoryLockReply {
  bool cancelled = false;  // false: it did not wait, it had been granted
};
// What a client holds under a session that the target knows from before its restart. The same may be claimed again.
struct ReclaimedOpen {
  HandleId handle = 0;
  InodeId inode = kNoInode;  // kNoInode: of an open or a create that had no answer yet
  std::uint32_t flags = 0;   // OpenFlags
  bool nameless = false;     // made without a name, and may still get one
};
struct ReclaimedExtent {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint32_t mode = 0;
  friend bool operator==(const ReclaimedExtent&, const ReclaimedExtent&) = default;
};
struct ReclaimedLock {
  InodeId inode = kNoInode;
  std::uint32_t mode = 0;  // lock::Mode, or kDividedMode
  std::vector<ReclaimedExtent> extents;
};
struct ReclaimRequest {  // of all lists together, with the extents of locks, at most limits::kReclaimItemsMax
  std::vector<ReclaimedOpen> opens;
  std::vector<ReclaimedLock> locks;
  std::vector<SetAdvisoryLockRequest> advisory;  // of which none waits
  bool done = false;  // nothing more comes: answered when everybody has claimed, and all of it is durable
};
struct ReclaimReply {
  std::vector<LockWord> locks;  // what is held now, one for each that was claimed
  std::uint64_t extents = 0;    // the newest number of a grant of an extent
};

struct AdvisoryLocksGrantedRequest {  // callback; its reply has no body. May come again, and before the reply "waits"
  std::vector<std::uint64_t> tickets;
};

}  // namespace rideau::fs
