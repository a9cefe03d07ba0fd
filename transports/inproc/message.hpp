// SPDX-License-Identifier: Apache-2.0
// One message on its way: its head, copied, and its payload, copied when it is small, else still where the sender has
// it.
#pragma once

#include "rideau/completion.hpp"
#include "rideau/driver/parts.hpp"

#include <cstdint>

namespace rideau::inproc {

// A send as its caller made it. The parts are lent until `done` completes.
struct Outgoing {
  std::uint64_t id = 0;  // on its link, for cancel()
  const IoVec* head = nullptr;
  std::uint32_t head_parts = 0;
  const IoVec* eager = nullptr;
  std::uint32_t eager_parts = 0;
  std::uint64_t head_bytes = 0;
  std::uint64_t eager_bytes = 0;
  Completion* done = nullptr;  // null: nobody waits any more

  bool stays_lent() const noexcept;
  std::uint64_t held_bytes() const noexcept;  // what it takes of the receiver's memory
};

// One block of memory; the head follows the struct, then the payload when it was copied.
struct Message {
  static Message* make(const Outgoing& outgoing);
  static void drop(Message* message) noexcept;  // frees it after the last user

  std::uint8_t* head() noexcept { return reinterpret_cast<std::uint8_t*>(this + 1); }
  std::uint8_t* eager() noexcept { return head() + outgoing.head_bytes; }

  Outgoing outgoing;  // done: of a payload that is lent
  std::uint64_t users = 1;
};
static_assert(sizeof(Message) % 8 == 0 && alignof(Message) == 8);

}  // namespace rideau::inproc
