// SPDX-License-Identifier: Apache-2.0
// ClientSession: calls. A call is sent, and sent again over the next link, until it is answered, its session is gone,
// or its deadline passed.
#include "framework/base/checksum.hpp"
#include "framework/base/sim_hooks.hpp"
#include "framework/rpc/client_session_impl.hpp"

#include <algorithm>

namespace rideau::rpc {

void ClientSession::Impl::settle(Slot& slot, CallState outcome) {
  slot.state = outcome;
  if (slot.waiter != nullptr) runtime.complete(*std::exchange(slot.waiter, nullptr), kOk, 0);
}

Task<std::uint32_t> ClientSession::Impl::take_slot() {
  // A slot that is free is free because nobody waits.
  for (std::uint32_t i = 0; i < slot_count; ++i) {
    const std::uint32_t index = (free_hint + i) % slot_count;
    Slot& slot = slots[index];
    if (slot.busy || slot.poisoned) continue;
    slot.busy = true;
    ++slots_busy;
    co_return index;
  }
  co_await slot_free.wait();
  RIDEAU_ASSERT(!slots_handed.empty());
  const std::uint32_t index = slots_handed.front();
  slots_handed.pop_front();
  co_return index;
}

// To who has waited for longest, not to who comes next: under a stream of calls the others would wait for ever.
void ClientSession::Impl::hand_slot(std::uint32_t index) {
  Slot& slot = slots[index];
  if (slot.busy || slot.poisoned || !slot_free.wake_one()) return;
  slot.busy = true;
  ++slots_busy;
  slots_handed.push_back(index);
}

void ClientSession::Impl::give_back_slot(std::uint32_t index) {
  Slot& slot = slots[index];
  slot.busy = false;
  slot.request = nullptr;
  slot.link = nullptr;
  slot.loan = Loan{};
  --slots_busy;
  free_hint = index;  // warm on both sides
  hand_slot(index);
  slot_given_back.wake_all();
}

Task<Reply> ClientSession::Impl::call(const Request& request) {
  Reply reply;
  const std::uint64_t began_ns = runtime.now_ns();
  const std::uint32_t index = co_await take_slot();
  Slot& slot = slots[index];
  slot.request = &request;
  slot.trace_id = request.trace_id != 0 ? request.trace_id : ++next_trace;
  slot.patient = options.patient && request.deadline_ms == 0 && leave_by_ns == 0;
  const std::uint32_t usual_ms = slot.patient ? kNoDeadline : limits::kCallMs;
  const std::uint32_t limit_ms = request.deadline_ms == 0 ? usual_ms : request.deadline_ms;
  slot.deadline_ns = limit_ms == kNoDeadline ? 0 : began_ns + limit_ms * kMillisecond;
  std::uint64_t belongs_to = generation;  // the session that the caller has in mind; 0: the first one, to come
  const std::uint64_t locks = lock_turns;
  const bool rests_on_locks = request.modifies || request.payload_parts != 0;
  bool sent = false;  // under that session
  for (;;) {
    // Without a link nothing waits for ever, not even a lock, unless the client is patient.
    const std::uint64_t linkless_ns = runtime.now_ns() + limits::kCallMs * kMillisecond;
    const std::uint64_t give_up_ns = slot.deadline_ns != 0 ? slot.deadline_ns : linkless_ns;
    while (away()) {
      if (!options.patient && runtime.now_ns() >= give_up_ns) break;
      if (leave_by_ns != 0 && runtime.now_ns() >= leave_by_ns) break;
      co_await changed.wait();
    }
    if (state != State::up) {
      reply.status =
          away() ? Status{Code::timed_out, 0, "no link to the target"} : Status{Code::closed, 0, "session closed"};
      if (sent) slot.poisoned = true;
      break;
    }
    if (belongs_to != generation && belongs_to != 0) {
      const bool executed_never = belongs_to == unused_generation;
      if (!executed_never && !request.outlives_restart) {
        reply.status = sent ? kOutcomeUnknown : kNeverSent;
        break;
      }
      sent = false;
    }
    if (rests_on_locks && locks != lock_turns) {
      reply.status = sent ? kOutcomeUnknown : kNeverSent;
      if (sent) slot.poisoned = true;
      break;
    }
    belongs_to = generation;
    const bool resend = std::exchange(sent, true);
    if (!resend) ++slot.sequence;
    slot.state = CallState::waiting;
    const Status outcome = co_await attempt(request, slot, resend ? std::uint32_t{wire::kResend} : 0u);
    if (slot.state == CallState::link_lost) continue;
    if (slot.state == CallState::expired) {
      reply.status = {Code::timed_out, 0, "no answer from the target"};
      break;
    }
    reply.status = outcome.ok() ? slot.envelope.status : outcome;
    reply.body = slot.body;
    reply.transaction = slot.envelope.transaction;
    reply.durable = slot.envelope.durable;
    reply.payload_bytes = slot.envelope.payload_bytes;
    reply.loan = std::move(slot.loan);
    answered = answered || outcome.ok();
    if (request.modifies && outcome.ok() && reply.transaction > durable) keep(slot, request, reply);
    break;
  }
  log.note({.trace_id = slot.trace_id,
            .subject = session_id,
            .target = options.target,
            .kind = EventKind::call_end,
            .method = request.method,
            .status = static_cast<std::uint32_t>(reply.status.code)});
  give_back_slot(index);
  counts.add(request.method, reply.ok(), runtime.now_ns() - began_ns);
  payload_received += reply.payload_bytes;
  co_return reply;
}

// Sends once and waits until the slot is settled. What was lent for it is reclaimed when this ended.
Task<Status> ClientSession::Impl::attempt(const Request& request, Slot& slot, std::uint32_t flags) {
  const LinkReference over = link;
  slot.link = over.get();
  const std::uint64_t payload = bytes_in(request.payload, request.payload_parts);
  const std::uint64_t room = bytes_in(request.room, request.room_parts);
  if (payload > limits::kPayloadBytesMax || room > limits::kPayloadBytesMax ||
      request.body.size > limits::kBodyBytesMax) {
    slot.state = CallState::answered;
    co_return Status{Code::too_large, 0, "call over the limits"};
  }
  wire::Envelope envelope;
  envelope.kind = wire::Kind::call;
  envelope.method = request.method;
  const bool again = flags != 0;
  envelope.flags = flags | (request.modifies ? std::uint32_t{wire::kModifies} : 0u);
  envelope.slot = slot.number;
  envelope.transaction = slot.transaction;
  envelope.sequence = slot.sequence;
  envelope.trace_id = slot.trace_id;
  if (slot.deadline_ns != 0) {
    const std::uint64_t now = runtime.now_ns();
    envelope.deadline_ms =
        static_cast<std::uint32_t>(slot.deadline_ns > now ? (slot.deadline_ns - now) / kMillisecond + 1 : 1);
  }
  envelope.payload_bytes = payload;
  envelope.room = room;
  // Small payloads ride in the message; memory for large ones is lent, and the server fetches or fills it.
  const std::uint32_t eager_max = std::min(transport.limits().eager_bytes_max, server_eager_bytes);
  Region* lent_source = nullptr;
  Region* lent_sink = nullptr;
  Status lent = kOk;
  if (payload > eager_max) {
    lent = over.link().lend(request.payload, request.payload_parts, kAccessPull, &lent_source, &envelope.source.key);
    envelope.source.size = payload;
  }
  if (lent.ok() && room > eager_max) {
    lent = over.link().lend(request.room, request.room_parts, kAccessPush, &lent_sink, &envelope.sink.key);
    envelope.sink.size = room;
  }
  // What the server sees in place is not moved; should it pull all the same, then within this machine.
  if (payload > 0 && (lent_source == nullptr || !over.link().shows(*lent_source))) {
    envelope.flags |= wire::kChecksummed;
    envelope.payload_checksum = crc32c(request.payload, request.payload_parts, payload);
  }
  Status outcome = lent;
  slot.sent_ns = runtime.now_ns();
  if (lent.ok()) {
    ++messages_sent;
    payload_sent += payload;
    if (!again) ++calls_sent;
    if (again) RIDEAU_MARK(call_sent_again);
    log.note({.trace_id = slot.trace_id,
              .subject = session_id,
              .target = options.target,
              .kind = again ? EventKind::call_again : EventKind::call,
              .method = request.method});
    Eager eager;
    if (payload > 0 && lent_source == nullptr) eager = {request.payload, request.payload_parts};
    const Status sent = co_await send_message(over, envelope, request.body, eager);
    if (!sent.ok() && slot.state == CallState::waiting) {
      if (sent.code != Code::closed) {
        slot.state = CallState::answered;  // the transport will not take it: trying again would not help
        outcome = sent;
      } else {
        slot.state = CallState::link_lost;
      }
    }
    while (slot.state == CallState::waiting) {
      const Outcome woken = co_await submit([&](Completion& done) {
        slot.waiter = &done;
        return Submitted::pending;
      });
      static_cast<void>(woken);
    }
  } else {
    slot.state = lent.code == Code::closed ? CallState::link_lost : CallState::answered;
  }
  // A transport may refuse with closed some time before it tells that the link is closed.
  while (slot.state == CallState::link_lost && over.usable()) co_await changed.wait();
  for (Region* region : {lent_source, lent_sink}) {
    if (region == nullptr) continue;
    const Outcome reclaimed = co_await submit([&](Completion& done) { return over.link().reclaim(*region, done); });
    static_cast<void>(reclaimed);
  }
  if (slot.state == CallState::answered && outcome.ok() && slot.envelope.status.ok() &&
      slot.envelope.payload_bytes > 0) {
    if (slot.envelope.payload_bytes > room) co_return Status{Code::corrupt, 0, "reply larger than its room"};
    const bool summed = (slot.envelope.flags & wire::kChecksummed) != 0;
    if (summed &&
        crc32c(request.room, request.room_parts, slot.envelope.payload_bytes) != slot.envelope.payload_checksum) {
      log.error("target %u at %s: bytes of reply %u fail their checksum", options.target, options.address.c_str(),
                request.method);
      co_return Status{Code::corrupt, 0, "checksum of a reply's payload"};
    }
  }
  co_return outcome;
}

}  // namespace rideau::rpc
