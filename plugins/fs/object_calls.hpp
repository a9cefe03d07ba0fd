// SPDX-License-Identifier: Apache-2.0
// The calls of an object target, as plain structs; object.capnp has the same on the wire. Bytes of files travel as the
// payload of the call or of its reply.
#pragma once

#include "framework/base/uuid.hpp"
#include "plugins/fs/ids.hpp"

#include <cstdint>
#include <vector>

namespace rideau::fs {

// Lists of objects in one call are no longer than this.
constexpr std::uint32_t kObjectsPerCallMax = 4096;

// Numbers are wire format: append only.
enum class ObjectMethod : std::uint16_t {
  read = 1,
  write = 2,
  truncate = 3,
  punch = 4,
  stat = 5,
  sync = 6,     // everything this target acknowledged of the objects named is durable
  destroy = 7,  // by the metadata server
  stat_file_system = 8,
  list = 9,  // for the metadata server and the file system check
  allocate = 10,
  find_data = 11,
  fence = 12,   // by the metadata server
  verify = 13,  // by `rideau scrub`
};

struct ObjectReadRequest {  // payload of the reply: the bytes; short at the object's end
  ObjectId object{};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
struct ObjectReadReply {
  std::uint64_t object_size = 0;  // 0 when there is no object: it reads as zeros
};

// A write is idempotent: its offset was chosen under a lock. Grants: bytes of dirty data that the client may hold for
// this target, on top of what it was granted before; 0 when space runs out. `dirty` tells what it holds.
struct ObjectWriteRequest {  // payload: the bytes
  ObjectId object{};
  std::uint64_t offset = 0;
  std::uint64_t grant_wanted = 0;
  std::uint64_t grant_used = 0;  // of the grant given before, consumed by this write
};
struct ObjectWriteReply {
  std::uint64_t grant = 0;       // added to what the client has
  std::uint64_t bytes_used = 0;  // of the object on the device, after the write
};

// Truncate and punch carry a version of the object that the client chose (its clock of changes, growing). The version
// that the target saw last: done already, ok. A newer one: done. An older one is refused with check_failed and the
// version seen, since the clocks of two clients may differ: the holder of the lock asks again with a greater one.
struct ObjectTruncateRequest {
  ObjectId object{};
  std::uint64_t size = 0;
  std::uint64_t version = 0;
};
struct ObjectPunchRequest {
  ObjectId object{};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t version = 0;
};
// Keeps space for a range, so that writes to it do not fail for want of it; the object's size stays. `zero`: and the
// range reads as zero. no_space: it does not fit; unsupported: the target's store cannot promise space.
struct ObjectAllocateRequest {
  ObjectId object{};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t version = 0;
  bool zero = false;
};
struct ObjectVersionReply {   // of truncate, punch and allocate, also when they were refused with check_failed
  std::uint64_t version = 0;  // the newest that the target has seen
};

struct ObjectStatRequest {
  std::vector<ObjectId> objects;
};
struct ObjectStatReply {
  struct Item {
    std::uint64_t size = 0;
    std::uint64_t bytes_used = 0;
  };
  std::vector<Item> items;  // one for each object asked for; zeros where there is none
};

// The first run of bytes at or after `offset` that may be other than zero; empty where only zeros follow.
struct ObjectFindDataRequest {
  ObjectId object{};
  std::uint64_t offset = 0;
};
struct ObjectFindDataReply {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

struct ObjectSyncRequest {
  std::vector<ObjectId> objects;  // empty: all
};

struct ObjectDestroyRequest {
  std::vector<ObjectId> objects;  // idempotent; durable when answered
};

// Objects in ascending order. A reply shorter than `count` says nothing: the end is an empty one.
struct ObjectListRequest {
  ObjectId after{};            // the first one asked for is greater; {0, 0}: from the first on
  InodeId end = ~0ull;         // of inodes below it
  std::uint32_t count = 1024;  // at most, and at most kObjectsPerCallMax
};
struct ObjectListReply {
  std::vector<ObjectId> objects;
};

// Reads what is stored and tells what cannot be read as it was written. A walk over all objects in ascending order, a
// bounded part a call: it begins behind {0, 0}, and each call goes on where the reply of the one before says.
constexpr std::uint64_t kBehindObject = ~0ull;  // as an offset: this object is done
struct ObjectVerifyRequest {
  ObjectId object{};
  std::uint64_t offset = kBehindObject;  // of `object`; kBehindObject: at the next one that is there
  std::uint64_t size = 0;                // bytes to read at most, and at most kVerifyBytesMax
};
struct ObjectVerifyReply {
  struct Damage {
    ObjectId object{};
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  ObjectId object{};
  std::uint64_t offset = kBehindObject;
  bool end = false;             // no object is behind this one
  bool checksums = false;       // the store knows what was written; else only what cannot be read at all is found
  std::uint64_t bytes = 0;      // read, without holes
  std::uint64_t objects = 0;    // that were finished
  std::vector<Damage> damages;  // at most kDamagesPerCallMax
};
constexpr std::uint64_t kVerifyBytesMax = 16ull << 20;
constexpr std::uint32_t kDamagesPerCallMax = 1024;

// The client changes nothing any more under its session `session` at the metadata target `target`, nor under an older
// one: answered when that is durable and the last of its calls has ended. Idempotent.
struct ObjectFenceRequest {
  Uuid client{};
  TargetId target = 0;
  std::uint64_t session = 0;
};

struct ObjectStatFileSystemReply {
  std::uint64_t bytes_total = 0;
  std::uint64_t bytes_free = 0;
  std::uint64_t objects = 0;
  std::uint64_t device = 0;            // targets with the same one, other than 0, share their space
  std::uint64_t object_bytes_max = 0;  // 0: not known
};

}  // namespace rideau::fs
