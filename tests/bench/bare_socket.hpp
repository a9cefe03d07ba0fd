// SPDX-License-Identifier: Apache-2.0
// The socket beside which links are measured: the same messages and bytes as plain as they can be sent, by a process of
// its own at the other end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace rideau {

constexpr std::size_t kMessageBytes = 200;
constexpr std::size_t kInFlight = 64;
constexpr std::size_t kBulkBytes = 1 << 20;

using Message = std::array<std::uint8_t, kMessageBytes>;

// What the first byte of a message asks for; echo sends it back.
enum class Ask : std::uint8_t { echo = 1, pull = 2, end = 3 };
Message message_of(Ask ask);

// Of one round.
struct Amounts {
  std::uint32_t messages = 20'000;  // with kInFlight on their way; a tenth of it one after the other
  std::uint32_t mib = 512;          // of bulk
};

struct Figures {
  double round_trips = 0;  // a second
  double messages = 0;     // a second
  double mib = 0;          // a second
};

// A socket to a new process that serves it until it is closed; over loopback when it is TCP.
int connect_bare(bool unix_socket, std::uint32_t mib);
Figures measure_bare(int fd, const Amounts& amounts);

}  // namespace rideau
