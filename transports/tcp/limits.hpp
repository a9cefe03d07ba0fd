// SPDX-License-Identifier: Apache-2.0
// Every bound of this driver that is not a configuration key.
#pragma once

#include <cstdint>

namespace rideau::tcp {

constexpr std::uint32_t kPartsMax = 1024;           // of one gathered or scattered buffer
constexpr std::uint32_t kBulkBytesMax = 16u << 20;  // of one pull, push or region
constexpr std::uint32_t kRegionsMax = 4096;         // lent on one link at a time
constexpr std::uint32_t kPullsMax = 1024;           // pending on one link and direction
constexpr std::uint32_t kFramesMax = 16384;         // waiting on one link with lent parts
constexpr std::uint32_t kCopyBytesMax = 8192;       // a frame up to this size is copied and its send finishes at once
constexpr std::uint32_t kBlockBytes = 32768;        // of one block of copied frames
constexpr std::uint32_t kEarlyBytes = 8192;         // of copied frames that do not wait for the end of the turn
constexpr std::uint32_t kEarlySocketBytes = 65536;  // with a smaller send buffer all wait
constexpr std::uint32_t kAnswerBytes = 256u << 10;  // of one frame of a pull's answer: messages go in between
constexpr std::uint32_t kGatherParts = 256;         // of one system call that writes
constexpr std::uint32_t kScatterParts = 64;         // of one system call that reads
constexpr std::uint32_t kWritesPerTurn = 8;         // then others get their turn
constexpr std::uint32_t kReadsPerTurn = 8;
constexpr std::uint32_t kBulkReadAhead = 1024;  // read behind what is expected while bulk bytes are on their way
constexpr std::uint32_t kAcceptsPerTurn = 64;
constexpr std::uint32_t kConnectionsMax = 4;            // of one link
constexpr std::uint64_t kLaneBytesLeast = 64u << 10;    // of a region that is moved over a connection beside the first
constexpr std::int32_t kHandshakesMax = 256;            // of accepted connections at a time
constexpr std::uint32_t kRefusalsLogged = 100;          // refused strangers in the log
constexpr std::uint64_t kRefusalsNs = 600'000'000'000;  // within this time

}  // namespace rideau::tcp
