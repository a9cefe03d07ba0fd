// SPDX-License-Identifier: Apache-2.0
// Every bound of this driver that is not a configuration key.
#pragma once

#include <cstdint>

namespace rideau::rdma {

constexpr std::uint32_t kPartsMax = 1024;           // of one gathered or scattered buffer
constexpr std::uint64_t kBulkBytesMax = 16u << 20;  // of one pull, push or region
constexpr std::uint32_t kRegionsMax = 4096;         // lent on one link at a time
constexpr std::uint32_t kRegionPartsMax = 65536;    // of all regions that are lent on one link
constexpr std::uint32_t kTransfersMax = 1024;       // pending on one link
constexpr std::uint32_t kSendsMax = 16384;          // waiting on one link
constexpr std::uint32_t kFrameBytes = 16384;        // of one frame, its header included
constexpr std::uint32_t kDescribedParts = 256;      // of one describe record: the rest follows in further ones
constexpr std::uint32_t kSlabFrames = 64;           // frames of one piece of registered memory
constexpr std::uint32_t kFirstReceives = 64;        // posted before there is a link: greetings arrive in them
constexpr std::uint32_t kCompletionsAtOnce = 32;    // read with one call
constexpr std::uint32_t kReadsPerTurn = 16;         // then others get their turn
constexpr std::uint32_t kLocalPartsAtOnce = 8;      // of one operation, if the provider takes as many
constexpr std::uint32_t kNameBytesMax = 256;        // of the address of an endpoint

constexpr std::uint64_t kRetryNsLeast = 50'000;  // before a call that was refused for now is tried again; doubles
constexpr std::uint64_t kRetryNsMost = 5'000'000;
constexpr std::uint64_t kEagerPollNs = 200'000;  // after traffic, polling goes on without a pause for so long
constexpr std::uint64_t kLingerNs = 20'000'000;  // of shared memory, before it goes
constexpr std::uint64_t kTickNsLeast = 10'000'000;
constexpr std::uint64_t kTickNsMost = 100'000'000;

}  // namespace rideau::rdma
