// SPDX-License-Identifier: Apache-2.0
// Every bound of the system in one place. Sizes in bytes, times in milliseconds unless the name says otherwise.
#pragma once

#include <cstdint>

namespace rideau::limits {

// Calls.
constexpr std::uint32_t kSlotsPerSession = 64;             // modifying and reading calls in flight, a session
constexpr std::uint32_t kCallbacksPerSession = 16;         // calls of a server to one client in flight
constexpr std::uint32_t kRecoverySlot = kSlotsPerSession;  // one more, for what a client claims again
constexpr std::uint32_t kBodyBytesMax = 512 * 1024;        // of one encoded request or reply
constexpr std::uint32_t kKeptReplyBytesMax = 16 * 1024;    // a modifying call's reply, kept for resends
constexpr std::uint32_t kCallsKeptMax = 16 * 1024;         // answered, not durable: kept by a client to be made again
constexpr std::uint64_t kCallsKeptBytesMax = 32ull * 1024 * 1024;
constexpr std::uint64_t kPayloadBytesMax = 4 * 1024 * 1024;
constexpr std::uint32_t kPayloadPartsMax = 1024;
constexpr std::uint64_t kServerBufferBytes = 256ull * 1024 * 1024;  // payload buffers of one server node
constexpr std::uint32_t kSessionsPerTarget = 4096;
constexpr std::uint64_t kWireTraversalWords = 8 * 1024 * 1024 / 8;  // Cap'n Proto traversal limit, a message
constexpr int kWireNesting = 16;

// Times.
constexpr std::uint32_t kConnectMs = 5'000;
constexpr std::uint32_t kHelloMs = 5'000;   // a link that has not said hello by then is closed
constexpr std::uint32_t kCallMs = 60'000;   // a call without an answer; the link is tried anew before
constexpr std::uint32_t kLeaveMs = 10'000;  // calls of a client that stops wait no longer for a target that is away
constexpr std::uint32_t kPingMs = 2'000;    // an idle session says that it lives
// Without a link: then the server ends the session once somebody waits for what its client holds, and after the second
// time in any case.
constexpr std::uint32_t kSessionLeaseMs = 6'000;
constexpr std::uint32_t kSessionKeptMs = 300'000;
// How long a client takes it for certain that a server still has its session, after it sent something that was
// answered: shorter than whatever makes a server give the locks of a silent client to others.
constexpr std::uint32_t kTrustMs = 4'000;
constexpr std::uint32_t kRecoveryMs = 4'000;        // unless the configuration says otherwise: how long a restarted
                                                    // metadata target waits for clients to come back
constexpr std::uint32_t kRecoveryLimitMs = 30'000;  // longer: for those that came, to claim what they hold
constexpr std::uint32_t kReconnectFirstMs = 20;
constexpr std::uint32_t kReconnectLastMs = 500;
constexpr std::uint32_t kCallbackMs = 30'000;  // a client that does not answer a callback by then is evicted

// Names and files: what POSIX callers see.
constexpr std::uint32_t kNameBytesMax = 255;
constexpr std::uint32_t kPathBytesMax = 4096;  // with the terminating zero: targets of symbolic links
constexpr std::uint32_t kLinkCountMax = 65'000;
constexpr std::uint32_t kXattrNameBytesMax = 255;
constexpr std::uint32_t kXattrValueBytesMax = 64 * 1024;
constexpr std::uint32_t kXattrListBytesMax = 64 * 1024;
constexpr std::uint32_t kXattrBytesPerInode = 256 * 1024;  // names and values of all of one inode
constexpr std::uint32_t kAccessListEntriesMax = 256;       // of one access control list
constexpr std::uint64_t kFileBytesMax = (1ull << 63) - 1;
constexpr std::uint32_t kGroupsMax = 65'536;
constexpr std::uint32_t kDirectoryEntriesMax = 8'192;  // of one reply of read_directory
constexpr std::uint32_t kCloseItemsMax = 4'096;        // of one call of close
constexpr std::uint32_t kOpenFilesPerSession = 1u << 20;
constexpr std::uint32_t kGiveBackMs = 120'000;     // a client that keeps a revoked lock for longer is evicted
constexpr std::uint32_t kReclaimItemsMax = 2'048;  // of one call that claims again
constexpr std::uint32_t kLockItemsMax = 4'096;     // of one call or callback that names locks
constexpr std::uint32_t kAdvisoryLocksPerSession = 1u << 18;  // ranges that programs of one client have locked
constexpr std::uint32_t kAdvisoryWaitsPerSession = 1u << 14;  // of those who wait for such a lock
constexpr std::uint32_t kAdvisoryGrantsMax = 4'096;           // of one callback that tells of grants
constexpr std::uint32_t kStripeCountMax = 1'024;
constexpr std::uint32_t kStripeSizeMin = 64 * 1024;
constexpr std::uint32_t kStripeSizeMax = 1u << 30;

}  // namespace rideau::limits
