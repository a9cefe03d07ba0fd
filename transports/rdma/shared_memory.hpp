// SPDX-License-Identifier: Apache-2.0
// What has to be known of libfabric's provider shm beside its interface: who is behind a name.
#pragma once

#include <cstdint>
#include <string_view>

namespace rideau::rdma {

// The process whose endpoint has this name ("fi_ns://host:port") on this machine; 0: there is none, or none any more.
// kUnknownProcess: there is one, of a libfabric that lays its memory out otherwise than 1.17.
//
// The provider takes names that nobody has yet without a word, and gives the next one the same place in its table: what
// is sent to the first goes to the second from then on. So a name is asked about here before it is told to the
// provider.
std::uint32_t process_behind(std::string_view name) noexcept;

constexpr std::uint32_t kUnknownProcess = UINT32_MAX;

// Takes the name from a process that has ended. The provider does so itself, but not before its parent has collected
// it, and until then a server that was killed could not come back.
void free_name(std::string_view name) noexcept;

}  // namespace rideau::rdma
