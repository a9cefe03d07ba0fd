// SPDX-License-Identifier: Apache-2.0
#include "records.hpp"

#include "checksum.hpp"
#include "packing.hpp"

namespace rideau::backend {

std::string record_key(char store, char kind, std::initializer_list<std::uint64_t> numbers) {
  std::string key(2 + 8 * numbers.size(), '\0');
  key[0] = store;
  key[1] = kind;
  std::size_t at = 2;
  for (const std::uint64_t number : numbers) {
    put_big_u64(reinterpret_cast<std::uint8_t*>(key.data()) + at, number);
    at += 8;
  }
  return key;
}

bool is_record_key(Bytes key, char store, char kind, std::size_t numbers) noexcept {
  return key.size == 2 + 8 * numbers && key.data[0] == static_cast<std::uint8_t>(store) &&
         key.data[1] == static_cast<std::uint8_t>(kind);
}

std::uint64_t record_key_number(Bytes key, std::size_t at) noexcept { return get_big_u64(key.data + 2 + 8 * at); }

std::string seal_record(std::string_view key, std::uint8_t version, std::string_view fields) {
  std::string value(1, static_cast<char>(version));
  value += fields;
  std::uint8_t sum[4];
  put_u32(sum, crc32c(value.data(), value.size(), crc32c(key.data(), key.size())));
  return value.append(reinterpret_cast<const char*>(sum), sizeof sum);
}

Status open_record(Bytes key, Bytes value, std::uint8_t version, Bytes* fields) noexcept {
  constexpr Status kCorrupt{Code::corrupt, 0, "a record of the store in the index is damaged"};
  if (value.size < 5) return kCorrupt;
  const std::size_t size = value.size - 4;
  if (get_u32(value.data + size) != crc32c(value.data, size, crc32c(key.data, key.size))) return kCorrupt;
  if (value.data[0] != version) {
    return {Code::unsupported, 0, "a record of the store in the index is of a newer version"};
  }
  *fields = Bytes(value.data + 1, size - 1);
  return kOk;
}

}  // namespace rideau::backend
