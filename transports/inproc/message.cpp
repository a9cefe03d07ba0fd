// SPDX-License-Identifier: Apache-2.0
#include "message.hpp"

#include "limits.hpp"

#include <new>

namespace rideau::inproc {

bool Outgoing::stays_lent() const noexcept { return eager_bytes > kCopyBytesMax; }

std::uint64_t Outgoing::held_bytes() const noexcept {
  return sizeof(Message) + head_bytes + (stays_lent() ? 0 : eager_bytes);
}

Message* Message::make(const Outgoing& outgoing) {
  auto* message = new (::operator new(outgoing.held_bytes())) Message{outgoing, 1};
  driver::PartCursor(outgoing.head, outgoing.head_parts).read(message->head(), outgoing.head_bytes);
  if (!outgoing.stays_lent()) {
    driver::PartCursor(outgoing.eager, outgoing.eager_parts).read(message->eager(), outgoing.eager_bytes);
    message->outgoing.done = nullptr;
  }
  return message;
}

void Message::drop(Message* message) noexcept {
  if (--message->users == 0) ::operator delete(message);
}

}  // namespace rideau::inproc
