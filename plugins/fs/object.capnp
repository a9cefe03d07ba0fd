# SPDX-License-Identifier: Apache-2.0
# Bodies of the calls of an object target; object_calls.hpp says what they mean. Bytes of files are payloads, not bodies.
#
# Version rule: fields and structs are only ever appended, and a receiver treats an absent field as its default.
@0xd3a5c0f1b7e84c26;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("rideau::fs::schema");

struct ObjectId {
  high @0 :UInt64;            # the inode
  low @1 :UInt64;             # layout generation, stripe index
}

struct ObjectReadRequest {
  object @0 :ObjectId;
  offset @1 :UInt64;
  size @2 :UInt64;
}
struct ObjectReadReply {
  objectSize @0 :UInt64;
}

struct ObjectWriteRequest {
  object @0 :ObjectId;
  offset @1 :UInt64;
  grantWanted @2 :UInt64;
  grantUsed @3 :UInt64;
}
struct ObjectWriteReply {
  grant @0 :UInt64;
  bytesUsed @1 :UInt64;
}

struct ObjectTruncateRequest {
  object @0 :ObjectId;
  size @1 :UInt64;
  version @2 :UInt64;
}
struct ObjectPunchRequest {
  object @0 :ObjectId;
  offset @1 :UInt64;
  size @2 :UInt64;
  version @3 :UInt64;
}
struct ObjectAllocateRequest {
  object @0 :ObjectId;
  offset @1 :UInt64;
  size @2 :UInt64;
  version @3 :UInt64;
  zero @4 :Bool;
}
struct ObjectVersionReply {
  version @0 :UInt64;
}

struct ObjectStatRequest {
  objects @0 :List(ObjectId);
}
struct ObjectStatReply {
  items @0 :List(Item);
  struct Item {
    size @0 :UInt64;
    bytesUsed @1 :UInt64;
  }
}

struct ObjectFindDataRequest {
  object @0 :ObjectId;
  offset @1 :UInt64;
}
struct ObjectFindDataReply {
  begin @0 :UInt64;
  end @1 :UInt64;
}

struct ObjectSyncRequest {
  objects @0 :List(ObjectId);
}
struct ObjectDestroyRequest {
  objects @0 :List(ObjectId);
}

struct ObjectListRequest {
  after @0 :ObjectId;
  end @1 :UInt64;
  count @2 :UInt32;
}
struct ObjectListReply {
  objects @0 :List(ObjectId);
}

struct ObjectFenceRequest {
  client @0 :Data;      # UUID, 16 bytes
  target @1 :UInt32;
  session @2 :UInt64;
}

struct ObjectVerifyRequest {
  object @0 :ObjectId;
  offset @1 :UInt64;
  size @2 :UInt64;
}
struct ObjectVerifyReply {
  struct Damage {
    object @0 :ObjectId;
    offset @1 :UInt64;
    size @2 :UInt64;
  }
  object @0 :ObjectId;
  offset @1 :UInt64;
  end @2 :Bool;
  checksums @3 :Bool;
  bytes @4 :UInt64;
  objects @5 :UInt64;
  damages @6 :List(Damage);
}

struct ObjectStatFileSystemReply {
  bytesTotal @0 :UInt64;
  bytesFree @1 :UInt64;
  objects @2 :UInt64;
  device @3 :UInt64;
  objectBytesMax @4 :UInt64;
}
