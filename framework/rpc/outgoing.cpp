// SPDX-License-Identifier: Apache-2.0
#include "framework/rpc/outgoing.hpp"

#include "framework/runtime/await.hpp"

namespace rideau::rpc {

std::uint64_t bytes_in(const IoVec* parts, std::uint32_t count) noexcept {
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) bytes += parts[i].size;
  return bytes;
}

Task<Status> send_message(LinkReference link, const wire::Envelope& envelope, Bytes body, Eager eager) {
  if (!link.usable()) co_return Status{Code::closed, 0, "send on a closed link"};
  wire::Encoded head;
  wire::encode(envelope, head);
  IoVec parts[2] = {{const_cast<std::uint8_t*>(head.bytes().data), head.bytes().size},
                    {const_cast<std::uint8_t*>(body.data), body.size}};
  const std::uint32_t count = body.size == 0 ? 1 : 2;
  const Outcome sent =
      co_await submit([&](Completion& done) { return link.link().send(parts, count, eager.parts, eager.count, done); });
  co_return sent.status;
}

Task<> send_owned(LinkReference link, wire::Envelope envelope, wire::Encoded body) {
  // A failure means that the link is going down, which its events will say.
  const Status sent = co_await send_message(link, envelope, body.bytes(), Eager{});
  static_cast<void>(sent);
}

}  // namespace rideau::rpc
