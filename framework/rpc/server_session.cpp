// SPDX-License-Identifier: Apache-2.0
// A client as the server sees it: its slots, and the calls back to it.
#include "framework/rpc/server_impl.hpp"

#include "framework/base/sim_hooks.hpp"

#include <algorithm>

namespace rideau::rpc {

SessionState::SessionState(Server::Impl& owner, TargetState& at, std::uint64_t number, const wire::Hello& hello)
    : server(owner),
      target(at),
      slots(std::clamp<std::uint32_t>(hello.slots, 1, limits::kSlotsPerSession + 1)),
      changed(owner.runtime),
      id_(number),
      client_(hello.client),
      name_(hello.client_name) {}

void SessionState::take_hello(const wire::Hello& hello) {
  lock_sessions_ = hello.lock_sessions;
  clock_ahead_ns_ = hello.client_time_ns - server.runtime.wall_ns();
}

bool SessionState::ends_in_order() const noexcept { return goodbye || server.stopping; }

std::uint64_t SessionState::silent_ns() const noexcept {
  return server.runtime.now_ns() - (link != nullptr ? link->last_heard_ns : last_heard_ns);
}

void SessionState::evict(const std::string& reason) {
  RIDEAU_MARK(client_evicted);
  server.log.warning("client %s is evicted from target %u: %s", name_.c_str(), target.options.target, reason.c_str());
  server.begin_end(*this, reason);
}

void SessionState::settle(Callback& callback) {
  if (callback.waiter != nullptr) server.runtime.complete(*std::exchange(callback.waiter, nullptr), kOk, 0);
}

void SessionState::fail_callbacks() {
  for (auto& [sequence, callback] : callbacks_) settle(*callback);
  changed.wake_all();
}

void SessionState::receive_callback_reply(const wire::Envelope& envelope, Bytes body, Loan loan) {
  const auto found = callbacks_.find(envelope.sequence);
  if (found == callbacks_.end() || found->second->answered) return;  // answered over an earlier link
  Callback& callback = *found->second;
  callback.answered = true;
  callback.envelope = envelope;
  callback.body = body;
  callback.loan = std::move(loan);
  settle(callback);
}

Task<Reply> SessionState::call_back(std::uint16_t method, Bytes body, std::uint64_t trace_id) {
  Reply reply;
  if (callbacks_.size() >= limits::kCallbacksPerSession) {
    reply.status = {Code::busy, 0, "too many callbacks to one client"};
    co_return reply;
  }
  TraceEvent event{.trace_id = trace_id,
                   .subject = id_,
                   .target = target.options.target,
                   .kind = EventKind::callback,
                   .method = method};
  server.log.note(event);
  const std::uint64_t sequence = next_callback_++;
  Callback callback;
  callbacks_[sequence] = &callback;
  Alarm too_late(server.runtime, [this, &callback] {
    callback.expired = true;
    settle(callback);
    changed.wake_all();
  });
  too_late.set(limits::kCallbackMs * kMillisecond);
  bool asked = false;
  while (!callback.answered && !callback.expired && !ending) {
    if (link == nullptr) {
      co_await changed.wait();
      continue;
    }
    const LinkReference over(link->hold);
    wire::Envelope envelope;
    envelope.kind = wire::Kind::callback;
    envelope.method = method;
    envelope.sequence = sequence;
    envelope.trace_id = trace_id;
    ++server.messages_sent;
    if (std::exchange(asked, true)) RIDEAU_MARK(callback_asked_again);
    const Status sent = co_await send_message(over, envelope, body, Eager{});
    static_cast<void>(sent);  // a failure shows as the end of the link
    // Until that link ends, or the client has another one: what the old one still carried may never arrive.
    const auto carried = [&] { return over.usable() && link != nullptr && link->hold == over.get(); };
    while (!callback.answered && !callback.expired && !ending && carried()) {
      const Outcome woken = co_await submit([&](Completion& done) {
        callback.waiter = &done;
        return Submitted::pending;
      });
      static_cast<void>(woken);
    }
  }
  callbacks_.erase(sequence);
  if (callback.answered) {
    reply.status = callback.envelope.status;
    reply.body = callback.body;
    reply.loan = std::move(callback.loan);
  } else {
    reply.status = ending ? Status{Code::closed, 0, "session ended"} : Status{Code::timed_out, 0, "callback"};
  }
  event.kind = EventKind::callback_end;
  event.status = static_cast<std::uint32_t>(reply.status.code);
  server.log.note(event);
  co_return reply;
}

}  // namespace rideau::rpc
