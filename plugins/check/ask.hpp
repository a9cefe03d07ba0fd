// SPDX-License-Identifier: Apache-2.0
// One call of a running server, request and answer as structs.
#pragma once

#include "framework/rpc/client_session.hpp"
#include "plugins/fs/codec.hpp"

namespace rideau::check {

// A call without a request.
template <class Method, class Answer>
Task<Status> ask(rpc::ClientSession& session, Method method, Answer* answer, Bytes body = {}) {
  rpc::Request call;
  call.method = static_cast<std::uint16_t>(method);
  call.body = body;
  const rpc::Reply reply = co_await session.call(call);
  if (!reply.ok()) co_return reply.status;
  co_return decode(reply.body, answer);
}

template <class Method, class Request, class Answer>
Task<Status> ask(rpc::ClientSession& session, Method method, const Request& request, Answer* answer) {
  wire::Encoded body;
  encode(request, body);
  co_return co_await ask(session, method, answer, body.bytes());
}

}  // namespace rideau::check
