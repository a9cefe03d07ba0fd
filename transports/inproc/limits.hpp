// SPDX-License-Identifier: Apache-2.0
// Every bound of this driver that is not a configuration key.
#pragma once

#include <cstdint>

namespace rideau::inproc {

constexpr std::uint32_t kPartsMax = 1024;           // of one gathered or scattered buffer
constexpr std::uint32_t kBulkBytesMax = 16u << 20;  // of one pull, push or region
constexpr std::uint32_t kRegionsMax = 4096;         // lent on one link at a time
constexpr std::uint32_t kSendsMax = 16384;          // waiting on one link
constexpr std::uint32_t kCopyBytesMax = 4096;       // a payload up to this size is copied and its send finishes at once
constexpr std::uint32_t kDeliveriesPerTurn = 64;    // then others get their turn

}  // namespace rideau::inproc
