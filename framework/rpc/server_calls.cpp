// SPDX-License-Identifier: Apache-2.0
// Server: from a call's arrival over its slot and its handler to the answer.
#include "framework/base/checksum.hpp"
#include "framework/base/sim_hooks.hpp"
#include "framework/rpc/server_impl.hpp"

#include <algorithm>

namespace rideau::rpc {

namespace {

wire::Envelope reply_to(const wire::Envelope& call, const Service& service) {
  wire::Envelope envelope;
  envelope.kind = wire::Kind::reply;
  envelope.method = call.method;
  envelope.slot = call.slot;
  envelope.sequence = call.sequence;
  envelope.trace_id = call.trace_id;
  envelope.durable = service.durable();
  return envelope;
}

}  // namespace

Sink Server::Impl::receive_call(ServerLink& link, const wire::Envelope& envelope, Bytes body, Loan loan,
                                std::uint64_t eager_bytes) {
  SessionState& session = *link.session;
  if (envelope.slot >= session.slots.size() || envelope.sequence == 0 || body.size > limits::kBodyBytesMax) {
    malformed(link, "a call outside of its slots or limits");
    return {};
  }
  const bool by_region = envelope.source.present();
  const bool fits = by_region ? eager_bytes == 0 && envelope.source.size == envelope.payload_bytes
                              : eager_bytes == envelope.payload_bytes;
  if (!fits || (envelope.sink.present() && envelope.sink.size < envelope.room)) {
    malformed(link, "a call whose payload is not what it says");
    return {};
  }
  SlotState& slot = session.slots[envelope.slot];
  const bool replay = (envelope.flags & wire::kReplay) != 0;
  const bool gap = envelope.sequence > slot.sequence + 1 && !session.restored;
  if (envelope.sequence < slot.sequence && !replay) return {};  // answered long ago, nobody waits for it
  if (gap || (envelope.sequence == slot.sequence + 1 && slot.running && !slot.replied)) {
    malformed(link, "a call out of the order of its slot");
    return {};
  }
  auto call =
      std::make_unique<ServerCall::State>(*this, session, LinkReference(link.hold), envelope, body, std::move(loan));
  call->arrived_ns = link.last_heard_ns;
  // Its slot has gone on since: a later change of it survived, and so did this one. Its payload is of no interest.
  const bool survived = replay && !slot.running && envelope.sequence <= slot.sequence;
  if (survived && eager_bytes == 0) {
    send_survived(*call);
    return {};
  }
  const bool done_before = !survived && envelope.sequence == slot.sequence && !slot.running && slot.kept;
  if (done_before && !RIDEAU_PLANTED_BUG(resend_runs_again)) {
    send_kept(*call, slot);
    return {};
  }
  if (eager_bytes == 0) {
    start(std::move(call));
    return {};
  }
  call->payload_buffer = buffers.take_now(eager_bytes);
  call->payload_part = {call->payload_buffer.memory().data, eager_bytes};
  link.eager_call = std::move(call);
  return {&link.eager_call->payload_part, 1};
}

void Server::Impl::send_kept(const ServerCall::State& call, const SlotState& slot) {
  RIDEAU_MARK(answer_from_slot);
  wire::Envelope envelope = reply_to(call.envelope, *call.session.target.service);
  envelope.status = slot.status;
  envelope.transaction = slot.transaction;
  wire::Encoded body;
  body.words().assign((slot.body.size() + 7) / 8, 0);
  std::copy(slot.body.begin(), slot.body.end(), reinterpret_cast<std::uint8_t*>(body.words().data()));
  ++messages_sent;
  tasks.spawn(send_owned(call.link, envelope, std::move(body)));
}

void Server::Impl::send_survived(const ServerCall::State& call) {
  RIDEAU_MARK(lost_change_had_survived);
  wire::Envelope envelope = reply_to(call.envelope, *call.session.target.service);
  ++messages_sent;
  tasks.spawn(send_owned(call.link, envelope, wire::Encoded{}));
}

void Server::Impl::start(std::unique_ptr<ServerCall::State> call) {
  SessionState& session = call->session;
  if (session.ending) return;
  SlotState& slot = session.slots[call->envelope.slot];
  if ((call->envelope.flags & wire::kReplay) != 0 && !slot.running && call->envelope.sequence <= slot.sequence) {
    send_survived(*call);
    return;
  }
  if (slot.running) {
    // Sent again over a new link while the first one runs, or the next one while the end of an answered one is on its
    // way: looked at when that one ended.
    RIDEAU_MARK(call_waited_for_itself);
    slot.waiting = std::move(call);
    return;
  }
  slot.sequence = call->envelope.sequence;
  slot.running = true;
  slot.replied = false;
  slot.kept = false;
  ++session.calls_running;
  log.note({.trace_id = call->envelope.trace_id,
            .subject = session.id(),
            .target = session.target.options.target,
            .kind = EventKind::served,
            .method = call->envelope.method});
  tasks.spawn(run(std::move(call)));
}

Task<> Server::Impl::run(std::unique_ptr<ServerCall::State> state) {
  SessionState& session = state->session;
  SlotState& slot = session.slots[state->envelope.slot];
  ServerCall call(*state);
  co_await session.target.service->handle(call);
  if (!state->replied && !state->payload_lost) {
    log.error("call %u of client %s ended without an answer (trace %llx)", state->envelope.method,
              session.client_name().c_str(), static_cast<unsigned long long>(state->envelope.trace_id));
    const Status unanswered{Code::io_error, 0, "the server gave no answer"};
    co_await call.reply(unanswered, Bytes{});
  }
  if (state->payload_lost) --slot.sequence;  // a resend is a first call again
  slot.running = false;
  --session.calls_running;
  std::unique_ptr<ServerCall::State> next = std::move(slot.waiting);
  state.reset();
  if (next != nullptr && !session.ending) {
    if (slot.kept && next->envelope.sequence == slot.sequence) {
      send_kept(*next, slot);
    } else {
      start(std::move(next));
    }
  }
  next.reset();
  end_if_idle(session);
}

std::uint16_t ServerCall::method() const noexcept { return state_.envelope.method; }
Bytes ServerCall::body() const noexcept { return state_.body; }
bool ServerCall::modifies() const noexcept { return (state_.envelope.flags & wire::kModifies) != 0; }
std::uint64_t ServerCall::lost_transaction() const noexcept { return state_.envelope.transaction; }
bool ServerCall::replays() const noexcept { return (state_.envelope.flags & wire::kReplay) != 0; }
std::uint64_t ServerCall::trace_id() const noexcept { return state_.envelope.trace_id; }
std::uint32_t ServerCall::slot() const noexcept { return state_.envelope.slot; }
std::uint64_t ServerCall::sequence() const noexcept { return state_.envelope.sequence; }
ServerSession& ServerCall::session() noexcept { return state_.session; }
std::uint64_t ServerCall::payload_bytes() const noexcept { return state_.envelope.payload_bytes; }
const IoVec* ServerCall::payload() const noexcept {
  return state_.payload_reach.part_count != 0 ? state_.payload_reach.parts : &state_.payload_part;
}
std::uint32_t ServerCall::payload_parts() const noexcept {
  if (state_.payload_reach.part_count != 0) return state_.payload_reach.part_count;
  return state_.envelope.payload_bytes == 0 ? 0 : 1;
}
std::uint64_t ServerCall::room_bytes() const noexcept { return state_.envelope.room; }
bool ServerCall::replied() const noexcept { return state_.replied; }

bool ServerCall::State::reach(const wire::RegionRef& region, std::uint64_t size, Access access, Reach* out) noexcept {
  if (!region.present() || !link.usable()) return false;
  return link.link().reach(region.key, 0, size, access, out).ok();
}

void ServerCall::State::let_go() noexcept {
  for (Reach* reach : {&payload_reach, &room_reach}) {
    if (reach->part_count != 0) link.link().let_go(*reach);
    *reach = Reach{};
  }
}

// What is seen in the caller's memory was moved by nobody, so there is no checksum to compare: what could compute it
// anew here are the same bytes at the same place.
Task<Status> ServerCall::fetch_payload() {
  State& state = state_;
  const std::uint64_t size = state.envelope.payload_bytes;
  if (size == 0 || state.payload_reach.part_count != 0) co_return kOk;
  if (!state.payload_ready && state.reach(state.envelope.source, size, kAccessPull, &state.payload_reach)) {
    state.server.payload_shown += size;
    co_return kOk;
  }
  if (!state.payload_ready) {
    state.payload_buffer = co_await state.server.buffers.take(size);
    state.payload_part = {state.payload_buffer.memory().data, size};
    Status pulled{Code::closed, 0, "link closed before the payload was fetched"};
    if (state.link.usable()) {
      const Outcome outcome = co_await submit([&](Completion& done) {
        return state.link.link().pull(state.envelope.source.key, 0, &state.payload_part, 1, done);
      });
      pulled = outcome.ok() && outcome.value != size ? Status{Code::corrupt, 0, "payload shorter than announced"}
                                                     : outcome.status;
    }
    if (!pulled.ok()) {
      // The caller is gone or has reclaimed its memory: it sends again, or waits no more.
      RIDEAU_MARK(payload_lost);
      state.payload_lost = true;
      co_return pulled;
    }
    state.payload_ready = true;
  }
  const bool summed = (state.envelope.flags & wire::kChecksummed) != 0;
  if (summed && crc32c(Bytes(state.payload_part.base, size)) != state.envelope.payload_checksum) {
    state.server.log.error("payload of call %u of client %s fails its checksum", state.envelope.method,
                           state.session.client_name().c_str());
    co_return Status{Code::corrupt, 0, "checksum of a call's payload"};
  }
  co_return kOk;
}

Task<ServerCall::Room> ServerCall::reply_room(std::uint64_t size) {
  State& state = state_;
  RIDEAU_ASSERT(size <= state.envelope.room);
  if (state.reach(state.envelope.sink, size, kAccessPush, &state.room_reach)) {
    co_return Room{state.room_reach.parts, state.room_reach.part_count};
  }
  state.room_buffer = co_await state.server.buffers.take(size);
  state.room_part = {state.room_buffer.memory().data, size};
  co_return Room{&state.room_part, 1};
}

Task<> ServerCall::reply(Status status, Bytes body, std::uint64_t transaction, std::uint64_t payload_bytes) {
  State& state = state_;
  RIDEAU_ASSERT(!state.replied);
  const bool shown = state.room_reach.part_count != 0;
  RIDEAU_ASSERT(payload_bytes == 0 || shown || payload_bytes <= state.room_part.size);
  if (state.payload_lost) co_return;  // as if never called: the caller asks again, or waits no more
  state.replied = true;
  Server::Impl& server = state.server;
  state.session.target.counts.add(method(), status.ok(), server.runtime.now_ns() - state.arrived_ns);
  server.log.note({.trace_id = state.envelope.trace_id,
                   .subject = state.session.id(),
                   .target = state.session.target.options.target,
                   .kind = EventKind::served_end,
                   .method = method(),
                   .status = static_cast<std::uint32_t>(status.code)});
  server.payload_received += state.envelope.payload_bytes;
  server.payload_sent += payload_bytes;
  if (shown) server.payload_shown += payload_bytes;
  state.let_go();
  SlotState& slot = state.session.slots[state.envelope.slot];
  slot.replied = true;
  if (modifies() && body.size <= limits::kKeptReplyBytesMax) {
    slot.kept = true;
    slot.status = status;
    slot.transaction = transaction;
    slot.body.assign(body.data, body.data + body.size);
  }
  if (!state.link.usable()) co_return;
  wire::Envelope envelope = reply_to(state.envelope, *state.session.target.service);
  envelope.status = status;
  envelope.transaction = transaction;
  envelope.payload_bytes = payload_bytes;
  const IoVec payload{state.room_part.base, payload_bytes};
  Eager eager;
  if (payload_bytes > 0 && !shown) {
    envelope.flags |= wire::kChecksummed;
    envelope.payload_checksum = crc32c(Bytes(payload.base, payload_bytes));
    if (state.envelope.sink.present()) {
      const Outcome pushed = co_await submit(
          [&](Completion& done) { return state.link.link().push(state.envelope.sink.key, 0, &payload, 1, done); });
      if (!pushed.ok()) co_return;  // the link is going down; the caller asks again
    } else {
      eager = {&payload, 1};
    }
  }
  ++server.messages_sent;
  const Status sent = co_await send_message(state.link, envelope, body, eager);
  static_cast<void>(sent);
}

}  // namespace rideau::rpc
