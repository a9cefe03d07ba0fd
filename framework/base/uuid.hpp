// SPDX-License-Identifier: Apache-2.0
// A 128-bit universal identifier (RFC 4122, version 4, as text 8-4-4-4-12 in lower case).
#pragma once

#include "rideau/buffer.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rideau {

struct Uuid {
  std::array<std::uint8_t, 16> bytes{};

  friend bool operator==(const Uuid&, const Uuid&) = default;
  friend auto operator<=>(const Uuid&, const Uuid&) = default;
  bool is_nil() const noexcept { return *this == Uuid{}; }
  Bytes view() const noexcept { return Bytes(bytes.data(), bytes.size()); }
};

std::string to_text(const Uuid& uuid);
std::optional<Uuid> parse_uuid(std::string_view text);
// 16 random bytes in, a valid version 4 identifier out.
Uuid make_uuid(std::array<std::uint8_t, 16> random);

}  // namespace rideau
