// SPDX-License-Identifier: Apache-2.0
// Sending one message over a link: envelope, body, eager payload, gathered without copies.
#pragma once

#include "framework/base/result.hpp"
#include "framework/rpc/link_hold.hpp"
#include "framework/runtime/task.hpp"
#include "framework/wire/envelope.hpp"

namespace rideau::rpc {

struct Eager {
  const IoVec* parts = nullptr;
  std::uint32_t count = 0;
};

// `body` and the eager parts are lent until this ended. closed when the link is dead already.
Task<Status> send_message(LinkReference link, const wire::Envelope& envelope, Bytes body, Eager eager);
// The same for messages that nobody waits for; owns its body.
Task<> send_owned(LinkReference link, wire::Envelope envelope, wire::Encoded body);

std::uint64_t bytes_in(const IoVec* parts, std::uint32_t count) noexcept;

}  // namespace rideau::rpc
