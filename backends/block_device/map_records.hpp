// SPDX-License-Identifier: Apache-2.0
// What the store keeps in its index, byte for byte. Keys begin with 'B', which no other user of the index takes; their
// numbers are big-endian. A value is
//
//   u8 version of the record | fields, little-endian | u32 crc32c of the key and all that precedes
//
//   'B' 'd'                             the device that this map is of
//   'B' 'o' high:u64 low:u64            an object: its size, how many blocks it has; or (version 2) its bytes
//   themselves 'B' 'x' high:u64 low:u64 number:u64  a segment: where its blocks are, and the checksum of each; version
//   2:
//                                       and bytes that lie over them
#pragma once

#include "patches.hpp"
#include "rideau/object_store.hpp"
#include "superblock.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rideau::block_device {

constexpr std::uint64_t kSegmentBlocks = 256;  // blocks that one record maps
constexpr std::uint64_t kSegmentBytes = kSegmentBlocks * kBlockBytes;
constexpr std::uint64_t kSmallBytesMax = 64 << 10;  // that the record of an object may hold
constexpr std::uint64_t kPatchBytesMax = 4 << 10;   // that the record of a segment may hold

struct Block {
  enum class State : std::uint8_t { none = 0, kept = 1, data = 2 };  // kept: has its place, reads as zero
  std::uint64_t place = 0;                                           // number of the block on the device
  std::uint32_t sum = 0;                                             // crc32c, of data
  State state = State::none;
  bool fresh = false;  // no map that was ever committed names this place
};

struct ObjectRecord {
  std::uint64_t size = 0;
  std::uint64_t blocks = 0;  // that are not `none`
  // Bytes of the object that are in its record, from its beginning on; behind them it reads as zero. Not 0: the object
  // is small and has no blocks.
  std::uint64_t small_bytes = 0;
  friend bool operator==(const ObjectRecord&, const ObjectRecord&) = default;
};

std::string device_key();
std::string object_key(ObjectId id);
std::string segment_key(ObjectId id, std::uint64_t number);
// What all keys of objects, and all of segments, begin with.
std::string objects_prefix();
std::string segments_prefix();
// False when it is no such key.
bool parse_object_key(Bytes key, ObjectId* id) noexcept;
bool parse_segment_key(Bytes key, ObjectId* id, std::uint64_t* number) noexcept;

std::string object_name(ObjectId id);  // for people

std::string device_value(const DeviceUuid& uuid);
std::string object_value(const std::string& key, const ObjectRecord& from, std::string_view bytes = {});
// Blocks beyond the end of the vector are `none`.
std::string segment_value(const std::string& key, const std::vector<Block>& blocks, const Patches& patches = {});

// corrupt: the checksum or the shape is wrong; unsupported: a newer version of the record.
Status read_device(Bytes value, DeviceUuid* to) noexcept;
Status read_object(Bytes key, Bytes value, ObjectRecord* to, Bytes* bytes = nullptr) noexcept;  // they lie in the value
// How many bytes the record of a small object holds, without a look at them; also of a damaged one.
std::uint64_t small_bytes_of(Bytes object_value) noexcept;
Status read_segment(Bytes key, Bytes value, std::vector<Block>* to, Patches* patches = nullptr) noexcept;

}  // namespace rideau::block_device
