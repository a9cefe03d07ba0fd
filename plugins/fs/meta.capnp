# SPDX-License-Identifier: Apache-2.0
# Bodies of the calls of a metadata target; meta_calls.hpp says what each field means. Names and values are Data, since
# a file system does not know their encoding.
#
# Version rule: fields are only ever appended, and a receiver treats an absent field as its default.
@0xd41f8a6c0b7e2953;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("rideau::fs::schema");

struct Layout {
  generation @0 :UInt32;
  stripeSize @1 :UInt32;        # bytes
  targets @2 :List(UInt32);     # one a stripe
  inlineMax @3 :UInt32;         # bytes
}

struct LayoutDefault {
  stripeCount @0 :UInt32;
  stripeSize @1 :UInt32;
  stripeOffset @2 :Int32 = -1;
  inlineMax @3 :UInt32 = 0xffffffff;
}

struct Inode {
  id @0 :UInt64;
  mode @1 :UInt32;
  linkCount @2 :UInt32;
  uid @3 :UInt32;
  gid @4 :UInt32;
  device @5 :UInt64;
  size @6 :UInt64;
  blocks @7 :UInt64;
  atimeNs @8 :Int64;
  mtimeNs @9 :Int64;
  ctimeNs @10 :Int64;
  birthNs @11 :Int64;
  flags @12 :UInt32;
  timeGeneration @13 :UInt32;
  change @14 :UInt64;
  parent @15 :UInt64;
  layout @16 :Layout;                 # absent: none
  layoutDefault @17 :LayoutDefault;   # absent: nothing is wished for
  lock @18 :UInt64;                   # in answers: what the receiver holds of it
  accessList @19 :Data;               # absent: the mode says everything; else as setxattr takes it
  pool @20 :Data;                     # of targets that its bytes, or those of files in it, lie on; absent: all
  dividedLock @21 :UInt64;            # in answers: the same of a file that is locked in parts
}

struct Caller {
  uid @0 :UInt32;
  gid @1 :UInt32;
  groupsKnown @2 :Bool;
  groups @3 :List(UInt32);
  umask @4 :UInt16;
}

struct LookupRequest {
  caller @0 :Caller;
  parent @1 :UInt64;
  name @2 :Data;
}
struct InodeReply {
  inode @0 :Inode;
}
struct GetAttributesRequest {
  inode @0 :UInt64;
}
struct SetAttributesRequest {
  caller @0 :Caller;
  inode @1 :UInt64;
  mask @2 :UInt32;
  mode @3 :UInt32;
  uid @4 :UInt32;
  gid @5 :UInt32;
  size @6 :UInt64;
  atimeNs @7 :Int64;
  mtimeNs @8 :Int64;
  handle @9 :UInt64;
  bytes @10 :InlineBytes;       # absent: nothing to say
}

struct MakeRequest {
  caller @0 :Caller;
  parent @1 :UInt64;
  name @2 :Data;
  mode @3 :UInt32;
  device @4 :UInt64;
  symlinkTarget @5 :Data;
  open @6 :Bool;
  openFlags @7 :UInt32;
  handle @8 :UInt64;
  knowsInline @9 :Bool;
}
struct MakeReply {
  inode @0 :Inode;
  parent @1 :Inode;
  existed @2 :Bool;
}
struct OpenRequest {
  caller @0 :Caller;
  inode @1 :UInt64;
  flags @2 :UInt32;
  handle @3 :UInt64;
  knowsInline @4 :Bool;
  wantsBytes @5 :Bool;
}
struct OpenReply {
  inode @0 :Inode;
  bytes @1 :Data;               # absent: none
}
struct ReadInlineRequest {
  inode @0 :UInt64;
}
struct ReadInlineReply {
  inline @0 :Bool;
  bytes @1 :Data;
}
struct InlineBytes {
  bytes @0 :Data;               # absent: they are as they were
  movedOut @1 :Bool;
}
struct SizeUpdate {
  size @0 :UInt64;
  blocks @1 :UInt64;
  mtimeNs @2 :Int64;
  timeGeneration @3 :UInt32;
  atLeast @4 :Bool;             # others write the file as well
  cutting @5 :Bool;             # of glimpses: it is being cut or grown just now, and this may be of before
}
struct CloseItem {
  inode @0 :UInt64;
  handle @1 :UInt64;
  update @2 :SizeUpdate;        # absent: none
  untouched @3 :Bool;
  bytes @4 :InlineBytes;        # absent: nothing to say
}
struct CloseRequest {
  items @0 :List(CloseItem);
}
struct ReadLinkRequest {
  inode @0 :UInt64;
}
struct ReadLinkReply {
  target @0 :Data;
}
struct LinkRequest {
  caller @0 :Caller;
  inode @1 :UInt64;
  parent @2 :UInt64;
  name @3 :Data;
  guarded @4 :Bool;
}
struct RemoveRequest {
  caller @0 :Caller;
  parent @1 :UInt64;
  name @2 :Data;
  directory @3 :Bool;
  keptOpen @4 :UInt64;          # 0: none
}
struct RemoveReply {
  parent @0 :Inode;
  inode @1 :Inode;
  destroyed @2 :Bool;           # the inode went with its last name
}
struct RenameRequest {
  caller @0 :Caller;
  oldParent @1 :UInt64;
  oldName @2 :Data;
  newParent @3 :UInt64;
  newName @4 :Data;
  flags @5 :UInt32;
}
struct RenameReply {
  oldParent @0 :Inode;
  newParent @1 :Inode;
  inode @2 :Inode;
  replaced @3 :Inode;
  destroyed @4 :Bool;           # what was replaced went with its last name
}

struct ReadDirectoryRequest {
  directory @0 :UInt64;
  after @1 :UInt64;
  entriesMax @2 :UInt32;
  attributes @3 :Bool;
}
struct DirectoryEntry {
  cookie @0 :UInt64;
  inode @1 :UInt64;
  type @2 :UInt32;
  name @3 :Data;
  attributes @4 :Inode;         # absent: not asked for
}
struct ReadDirectoryReply {
  entries @0 :List(DirectoryEntry);
  end @1 :Bool;
  parent @2 :UInt64;
}

struct GetAttributeRequest {
  caller @0 :Caller;
  inode @1 :UInt64;
  name @2 :Data;
}
struct GetAttributeReply {
  value @0 :Data;
}
struct SetAttributeRequest {
  caller @0 :Caller;
  inode @1 :UInt64;
  name @2 :Data;
  value @3 :Data;
  flags @4 :UInt32;
}
struct ListAttributesRequest {
  caller @0 :Caller;
  inode @1 :UInt64;
}
struct ListAttributesReply {
  names @0 :List(Data);
}
struct RemoveAttributeRequest {
  caller @0 :Caller;
  inode @1 :UInt64;
  name @2 :Data;
}

struct StatFileSystemReply {
  inodesUsed @0 :UInt64;
  inodesFree @1 :UInt64;
  drains @2 :List(Drain);             # object targets that take no new files
}
struct Drain {
  target @0 :UInt32;
  state @1 :UInt8;                    # 1 files move away, 2 nothing is on it, 3 it is no target any more
  filesMoved @2 :UInt64;
  bytesMoved @3 :UInt64;
  filesLeft @4 :UInt64;               # as far as they were counted
  problem @5 :Data;                   # why some do not move now, for people
}
struct SyncRequest {
  transaction @0 :UInt64;
}
struct ScanRecordsRequest {
  from @0 :Data;
  count @1 :UInt32;
}
struct ScanRecordsReply {
  records @0 :List(Record);
  transaction @1 :UInt64;
  struct Record {
    key @0 :Data;
    value @1 :Data;
  }
}
struct GetRecordsRequest {
  keys @0 :List(Data);
}
struct GetRecordsReply {
  values @0 :List(Value);
  transaction @1 :UInt64;
  struct Value {
    present @0 :Bool;
    bytes @1 :Data;
  }
}
struct LockRequest {
  resource @0 :UInt64;
  mode @1 :UInt32;
  knowsParts @2 :Bool;
}
struct LockReply {
  mode @0 :UInt32;
  lock @1 :UInt64;
  dividedLock @2 :UInt64;
}
struct LockExtentRequest {
  resource @0 :UInt64;
  begin @1 :UInt64;
  end @2 :UInt64;
  mode @3 :UInt32;
}
struct LockExtentReply {
  begin @0 :UInt64;
  end @1 :UInt64;
  mode @2 :UInt32;
  number @3 :UInt64;
}
struct ExtentItem {
  resource @0 :UInt64;
  begin @1 :UInt64;
  end @2 :UInt64;
  number @3 :UInt64;
}
struct LockItem {
  resource @0 :UInt64;
  number @1 :UInt64;
}
struct UnlockRequest {
  resource @0 :UInt64;          # of no meaning any more
  items @1 :List(LockItem);
  extents @2 :List(ExtentItem);
}
struct RevokeRequest {
  resource @0 :UInt64;          # of no meaning any more
  mode @1 :UInt32;              # of no meaning any more
  items @2 :List(LockItem);
  budget @3 :UInt64;            # 0: not said
  extents @4 :List(ExtentItem);
}
struct GlimpseRequest {
  items @0 :List(LockItem);
}
struct GlimpseReply {
  items @0 :List(Item);
  struct Item {
    update @0 :SizeUpdate;      # absent: it does not know
  }
}

struct SetAdvisoryLockRequest {
  inode @0 :UInt64;
  owner @1 :UInt64;
  family @2 :UInt32;
  mode @3 :UInt32;
  first @4 :UInt64;
  last @5 :UInt64;
  wait @6 :Bool;
  ticket @7 :UInt64;
  process @8 :UInt32;
}
struct SetAdvisoryLockReply {
  waits @0 :Bool;
}
struct TestAdvisoryLockRequest {
  inode @0 :UInt64;
  owner @1 :UInt64;
  family @2 :UInt32;
  mode @3 :UInt32;
  first @4 :UInt64;
  last @5 :UInt64;
}
struct TestAdvisoryLockReply {
  mode @0 :UInt32;
  first @1 :UInt64;
  last @2 :UInt64;
  process @3 :UInt32;
}
struct CancelAdvisoryLockRequest {
  ticket @0 :UInt64;
}
struct CancelAdvisoryLockReply {
  cancelled @0 :Bool;
}
struct AdvisoryLocksGrantedRequest {
  tickets @0 :List(UInt64);
}

struct ReclaimedOpen {
  handle @0 :UInt64;
  inode @1 :UInt64;
  flags @2 :UInt32;
  nameless @3 :Bool;
}
struct ReclaimedLock {
  inode @0 :UInt64;
  mode @1 :UInt32;
  extents @2 :List(Extent);
  struct Extent {
    begin @0 :UInt64;
    end @1 :UInt64;
    mode @2 :UInt32;
  }
}
struct ReclaimRequest {
  opens @0 :List(ReclaimedOpen);
  locks @1 :List(ReclaimedLock);
  advisory @2 :List(SetAdvisoryLockRequest);
  done @3 :Bool;
}
struct ReclaimReply {
  locks @0 :List(UInt64);
  extents @1 :UInt64;
}
