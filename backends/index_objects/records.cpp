// SPDX-License-Identifier: Apache-2.0
#include "records.hpp"

#include "../shared/checksum.hpp"
#include "../shared/packing.hpp"

namespace rideau::index_objects {
namespace {

using namespace backend;

constexpr char kRecordVersion = 1;

std::string key_of(char kind, const std::uint64_t* numbers, std::size_t count) {
  std::string key(2 + 8 * count, '\0');
  key[0] = 'O';
  key[1] = kind;
  for (std::size_t i = 0; i < count; ++i) {
    put_big_u64(reinterpret_cast<std::uint8_t*>(key.data()) + 2 + 8 * i, numbers[i]);
  }
  return key;
}

bool is_kind(Bytes key, char kind, std::size_t size) noexcept {
  return key.size == size && key.data[0] == 'O' && key.data[1] == static_cast<std::uint8_t>(kind);
}

Status open_value(Bytes key, Bytes value, Bytes* contents) noexcept {
  constexpr Status kCorrupt{Code::corrupt, 0, "a record of an object is damaged"};
  if (value.size < 5) return kCorrupt;
  const std::size_t size = value.size - 4;
  if (get_u32(value.data + size) != crc32c(value.data, size, crc32c(key.data, key.size))) return kCorrupt;
  if (value.data[0] != kRecordVersion) return {Code::unsupported, 0, "a record of an object is of a newer version"};
  *contents = Bytes(value.data + 1, size - 1);
  return kOk;
}

}  // namespace

std::string mark_key() { return key_of('m', nullptr, 0); }
std::string objects_prefix() { return key_of('o', nullptr, 0); }
std::string object_key(ObjectId id) {
  const std::uint64_t numbers[] = {id.high, id.low};
  return key_of('o', numbers, 2);
}
std::string piece_key(ObjectId id, std::uint64_t number) {
  const std::uint64_t numbers[] = {id.high, id.low, number};
  return key_of('p', numbers, 3);
}

bool parse_object_key(Bytes key, ObjectId* id) noexcept {
  if (!is_kind(key, 'o', 18)) return false;
  *id = {get_big_u64(key.data + 2), get_big_u64(key.data + 10)};
  return true;
}

bool parse_piece_key(Bytes key, ObjectId* id, std::uint64_t* number) noexcept {
  if (!is_kind(key, 'p', 26)) return false;
  *id = {get_big_u64(key.data + 2), get_big_u64(key.data + 10)};
  *number = get_big_u64(key.data + 18);
  return true;
}

std::string number_value(const std::string& key, std::uint64_t number) {
  std::uint8_t bytes[8];
  put_u64(bytes, number);
  return piece_value(key, std::string_view(reinterpret_cast<const char*>(bytes), sizeof bytes));
}

std::string piece_value(const std::string& key, std::string_view bytes) {
  std::string value(1, kRecordVersion);
  value += bytes;
  std::uint8_t sum[4];
  put_u32(sum, crc32c(value.data(), value.size(), crc32c(key.data(), key.size())));
  return value.append(reinterpret_cast<const char*>(sum), sizeof sum);
}

Status read_number(Bytes key, Bytes value, std::uint64_t* to) noexcept {
  Bytes contents;
  if (const Status status = open_value(key, value, &contents); !status.ok()) return status;
  if (contents.size != 8) return {Code::corrupt, 0, "a record of an object is damaged"};
  *to = get_u64(contents.data);
  return kOk;
}

Status read_piece(Bytes key, Bytes value, Bytes* to) noexcept {
  const Status status = open_value(key, value, to);
  if (status.ok() && to->size > kPieceBytes) return {Code::corrupt, 0, "a record of an object is damaged"};
  return status;
}

}  // namespace rideau::index_objects
