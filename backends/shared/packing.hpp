// SPDX-License-Identifier: Apache-2.0
// Numbers in bytes: little-endian in records, big-endian in keys, so that keys order as numbers do.
#pragma once

#include <cstdint>

namespace rideau::backend {

template <class Number>
void put_little(std::uint8_t* at, Number value) noexcept {
  for (std::size_t i = 0; i < sizeof value; ++i) at[i] = static_cast<std::uint8_t>(value >> (8 * i));
}
template <class Number>
Number get_little(const std::uint8_t* at) noexcept {
  Number value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<Number>(value | Number{at[i]} << (8 * i));
  return value;
}

inline void put_u16(std::uint8_t* at, std::uint16_t value) noexcept { put_little(at, value); }
inline void put_u32(std::uint8_t* at, std::uint32_t value) noexcept { put_little(at, value); }
inline void put_u64(std::uint8_t* at, std::uint64_t value) noexcept { put_little(at, value); }
inline std::uint16_t get_u16(const std::uint8_t* at) noexcept { return get_little<std::uint16_t>(at); }
inline std::uint32_t get_u32(const std::uint8_t* at) noexcept { return get_little<std::uint32_t>(at); }
inline std::uint64_t get_u64(const std::uint8_t* at) noexcept { return get_little<std::uint64_t>(at); }

inline void put_big_u64(std::uint8_t* at, std::uint64_t value) noexcept {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
}
inline std::uint64_t get_big_u64(const std::uint8_t* at) noexcept {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | at[i];
  return value;
}

}  // namespace rideau::backend
