// SPDX-License-Identifier: Apache-2.0
// Views of memory that cross the plugin boundary. None of them owns anything; the comment at each use says who does
// and until when.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace rideau {

// UTF-8 text, not terminated. Construct from a literal or a string_view; only pointer and size cross the boundary.
struct Text {
  const char* data = "";
  std::size_t size = 0;

  constexpr Text() noexcept = default;
  constexpr Text(const char* text, std::size_t bytes) noexcept : data(text), size(bytes) {}
  constexpr Text(std::string_view text) noexcept : data(text.data()), size(text.size()) {}
  constexpr Text(const char* literal) noexcept : Text(std::string_view(literal)) {}
  constexpr std::string_view view() const noexcept { return {data, size}; }
};

// Bytes that the holder may read.
struct Bytes {
  const std::uint8_t* data = nullptr;
  std::size_t size = 0;

  constexpr Bytes() noexcept = default;
  constexpr Bytes(const std::uint8_t* bytes, std::size_t count) noexcept : data(bytes), size(count) {}
  Bytes(const void* bytes, std::size_t count) noexcept : data(static_cast<const std::uint8_t*>(bytes)), size(count) {}
  explicit Bytes(std::string_view text) noexcept : Bytes(static_cast<const void*>(text.data()), text.size()) {}
  std::string_view view() const noexcept { return {reinterpret_cast<const char*>(data), size}; }
};

// Bytes that the holder may write.
struct MutableBytes {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;

  constexpr MutableBytes() noexcept = default;
  constexpr MutableBytes(std::uint8_t* bytes, std::size_t count) noexcept : data(bytes), size(count) {}
  MutableBytes(void* bytes, std::size_t count) noexcept : data(static_cast<std::uint8_t*>(bytes)), size(count) {}
  operator Bytes() const noexcept { return {data, size}; }
};

// One part of a gathered or scattered buffer; the layout of POSIX struct iovec, so arrays can be passed to
// readv/writev.
struct IoVec {
  void* base = nullptr;
  std::size_t size = 0;
};

// Orders as memcmp does, a shorter prefix first: the order of every IndexStore.
inline int compare(Bytes a, Bytes b) noexcept {
  const std::size_t common = a.size < b.size ? a.size : b.size;
  if (common != 0) {
    if (const int order = std::memcmp(a.data, b.data, common); order != 0) return order;
  }
  return a.size < b.size ? -1 : (a.size > b.size ? 1 : 0);
}

}  // namespace rideau
