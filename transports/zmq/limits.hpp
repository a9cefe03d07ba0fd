// SPDX-License-Identifier: Apache-2.0
// Every bound of this driver that is not a configuration key.
#pragma once

#include <cstdint>

namespace rideau::zeromq {

constexpr std::uint32_t kPartsMax = 1024;           // of one gathered or scattered buffer
constexpr std::uint32_t kBulkBytesMax = 16u << 20;  // of one pull, push or region
constexpr std::uint32_t kPieceBytes = 256u << 10;   // of bulk in one frame: messages go in between
constexpr std::uint32_t kRegionsMax = 4096;         // lent on one link at a time
constexpr std::uint32_t kPullsMax = 1024;           // pending on one link and direction
constexpr std::uint32_t kSendsMax = 16384;          // waiting on one link
constexpr std::uint32_t kControlFrames = 4096;      // room in ZeroMQ's queues for frames that need no credit
constexpr std::uint32_t kFramesPerTurn = 128;       // then others get their turn
constexpr int kUnansweredProbes = 3;                // of the kernel, then a silent peer is given up
constexpr std::uint32_t kCurveBytes = 64;           // that encryption may add to a frame
constexpr std::uint32_t kLingerMs = 200;            // how long the last frames of a stop may take

}  // namespace rideau::zeromq
