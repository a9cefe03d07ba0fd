// SPDX-License-Identifier: Apache-2.0
// What the store keeps in its index, byte for byte. Keys begin with 'O', which no other user of the index takes; their
// numbers are big-endian. A value is
//
//   u8 version of the record | contents, numbers little-endian | u32 crc32c of the key and all that precedes
//
//   'O' 'o' high:u64 low:u64             an object: its size u64
//   'O' 'p' high:u64 low:u64 number:u64  bytes of it from number * kPieceBytes on; what is absent or cut off is zero
//   'O' 'm'                              a mark u64, written to make everything before it durable
#pragma once

#include "rideau/object_store.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace rideau::index_objects {

constexpr std::uint64_t kPieceBytes = 32 << 10;

std::string object_key(ObjectId id);
std::string piece_key(ObjectId id, std::uint64_t number);
std::string mark_key();
std::string objects_prefix();
// False when it is no such key.
bool parse_object_key(Bytes key, ObjectId* id) noexcept;
bool parse_piece_key(Bytes key, ObjectId* id, std::uint64_t* number) noexcept;

std::string number_value(const std::string& key, std::uint64_t number);  // of an object and of the mark
std::string piece_value(const std::string& key, std::string_view bytes);

// corrupt: the checksum or the shape is wrong; unsupported: a newer version of the record.
Status read_number(Bytes key, Bytes value, std::uint64_t* to) noexcept;
Status read_piece(Bytes key, Bytes value, Bytes* to) noexcept;  // lies in the value

}  // namespace rideau::index_objects
