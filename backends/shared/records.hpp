// SPDX-License-Identifier: Apache-2.0
// Records that a store keeps in an index: a key is two letters and big-endian numbers, a value is a version byte,
// fields, and the crc32c of key and value.
#pragma once

#include "rideau/buffer.hpp"
#include "rideau/status.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace rideau::backend {

std::string record_key(char store, char kind, std::initializer_list<std::uint64_t> numbers);
// The key is of this kind and has so many numbers.
bool is_record_key(Bytes key, char store, char kind, std::size_t numbers) noexcept;
std::uint64_t record_key_number(Bytes key, std::size_t at) noexcept;

std::string seal_record(std::string_view key, std::uint8_t version, std::string_view fields);
// The fields of a value whose checksum and version fit; corrupt or unsupported otherwise.
Status open_record(Bytes key, Bytes value, std::uint8_t version, Bytes* fields) noexcept;

}  // namespace rideau::backend
