// SPDX-License-Identifier: Apache-2.0
// ClientSession: keeping the link up, and what arrives on it.
#include "framework/rpc/client_session.hpp"

#include "framework/base/sim_hooks.hpp"
#include "framework/rpc/client_session_impl.hpp"

#include <algorithm>

namespace rideau::rpc {

using Kind = wire::Kind;

ClientSession::Impl::Impl(ClientSession& owning, Runtime& world, Transport& via, Logger& logger, SessionEvents& turns,
                          SessionOptions wanted)
    : owner(owning),
      runtime(world),
      transport(via),
      log(logger),
      events(turns),
      options(std::move(wanted)),
      tasks(world),
      changed(world),
      slot_free(world),
      slot_given_back(world),
      ticker(world, [this] { tick(); }),
      next_trace(random64(world)) {
  for (std::uint32_t i = 0; i < slots.size(); ++i) slots[i].number = i;
}

// After close() there is no link; a session that goes without it (its node was killed) abandons what it has.
ClientSession::Impl::~Impl() {
  if (hello_link != nullptr) hello_link->abandon();
  if (link.usable()) link.get()->abandon();
}

ClientSession::ClientSession(Runtime& runtime, Transport& transport, Logger& log, SessionEvents& events,
                             SessionOptions options)
    : impl_(std::make_unique<Impl>(*this, runtime, transport, log, events, std::move(options))) {}
ClientSession::~ClientSession() = default;

bool ClientSession::connected() const noexcept { return impl_->state == Impl::State::up; }

bool ClientSession::trusted() const noexcept {
  const Impl& self = *impl_;
  return self.runtime.now_ns() - self.confirmed_ns <= limits::kTrustMs * kMillisecond;
}

Task<> ClientSession::until_trusted() {
  Impl& self = *impl_;
  const std::uint64_t give_up_ns = self.runtime.now_ns() + limits::kCallMs * kMillisecond;
  while (!trusted()) {
    if (self.state != Impl::State::up && !self.away()) co_return;
    const std::uint64_t now = self.runtime.now_ns();
    if (!self.options.patient && now >= give_up_ns) co_return;
    if (self.leave_by_ns != 0 && now >= self.leave_by_ns) co_return;
    const bool asked = !self.pings_sent_ns.empty() && now - self.pings_sent_ns.back() < kSecond;
    if (self.state == Impl::State::up && !asked) self.send_ping();
    RIDEAU_MARK(sleeper_asked_first);
    ++self.doubters;
    co_await self.changed.wait();  // at the next tick at the latest
    --self.doubters;
  }
}

std::uint64_t ClientSession::id() const noexcept { return impl_->session_id; }
std::uint64_t ClientSession::boot_epoch() const noexcept { return impl_->boot_epoch; }
std::uint64_t ClientSession::durable() const noexcept { return impl_->durable; }
std::int64_t ClientSession::time_offset_ns() const noexcept { return impl_->time_offset_ns; }
const std::string& ClientSession::server_version() const noexcept { return impl_->server_version; }
const std::string& ClientSession::last_refusal() const noexcept { return impl_->last_refusal; }
std::uint64_t ClientSession::calls_sent() const noexcept { return impl_->calls_sent; }
std::uint64_t ClientSession::messages_sent() const noexcept { return impl_->messages_sent; }

void ClientSession::collect(MetricList& to, const MetricLabels& labels, MethodName method_name) const {
  const Impl& self = *impl_;
  const CallCounts::Names names{"rideau_client_calls_total", "rideau_client_calls_failed_total",
                                "rideau_client_call_seconds"};
  self.counts.collect(to, names, labels, method_name);
  const char* messages = "Messages of this session, callbacks and pings among them.";
  to.counter("rideau_client_messages_sent_total", messages, labels, self.messages_sent);
  to.counter("rideau_client_messages_received_total", messages, labels, self.messages_received);
  const char* payload = "Bytes of files that went with calls and replies.";
  to.counter("rideau_client_payload_sent_bytes_total", payload, labels, self.payload_sent);
  to.counter("rideau_client_payload_received_bytes_total", payload, labels, self.payload_received);
  to.gauge("rideau_client_session_connected", "1: there is a link to the target.", labels,
           self.state == Impl::State::up ? 1 : 0);
  to.gauge("rideau_client_calls_kept", "Changes that were answered and are not known to be durable.", labels,
           static_cast<double>(self.kept.size()));
}

Task<Reply> ClientSession::call(const Request& request) { return impl_->call(request); }

void ClientSession::set_lock_sessions(std::vector<wire::LockSession> sessions) {
  impl_->lock_sessions = std::move(sessions);
  ++impl_->lock_turns;
  impl_->changed.wake_all();
}

Task<Status> ClientSession::connect() {
  Impl& self = *impl_;
  RIDEAU_ASSERT(self.state == Impl::State::idle);
  const std::uint64_t give_up_ns = self.runtime.now_ns() + self.options.connect_ms * kMillisecond;
  self.ticker.set(kSecond);  // calls that wait for the first link look at their deadlines
  std::uint64_t pause_ms = limits::kReconnectFirstMs;
  for (;;) {
    self.state = Impl::State::connecting;
    const Status opened = co_await self.open_link();
    if (opened.ok()) break;
    const bool final = self.state == Impl::State::refused;
    if (final || self.runtime.now_ns() + pause_ms * kMillisecond > give_up_ns) {
      self.state = Impl::State::idle;  // connect() may be tried again
      if (self.last_refusal.empty()) {
        self.last_refusal = "no answer from " + self.options.address + ": " + code_name(opened.code);
        // Who refuses says why, and what to do about it.
        const bool said = opened.code == Code::refused && opened.os_error == 0 && opened.where != nullptr;
        if (said) self.last_refusal += std::string(": ") + opened.where;
      }
      co_return opened;
    }
    co_await sleep_for(self.runtime, pause_ms * kMillisecond);
    pause_ms = std::min<std::uint64_t>(pause_ms * 2, limits::kReconnectLastMs);
  }
  self.tasks.spawn(self.keep_link());
  co_return kOk;
}

void ClientSession::leave(std::uint32_t patience_ms) noexcept {
  Impl& self = *impl_;
  const std::uint64_t now = self.runtime.now_ns();
  self.leave_by_ns = now + patience_ms * kMillisecond;
  for (Impl::Slot& slot : self.slots) {
    if (slot.busy && slot.patient) slot.deadline_ns = now + limits::kCallMs * kMillisecond;
  }
}

Task<> ClientSession::close() {
  Impl& self = *impl_;
  while (self.slots_busy > 0 && self.state == Impl::State::up) co_await self.slot_given_back.wait();
  if (self.state == Impl::State::up) {
    self.state = Impl::State::closing;
    self.send_simple(Kind::goodbye);
    // The server closes the link when it ended the session; a server that does not is left alone.
    const std::uint64_t until = self.runtime.now_ns() + kSecond;
    while (self.link.usable() && self.runtime.now_ns() < until) co_await sleep_for(self.runtime, kMillisecond);
  }
  self.state = Impl::State::closed;
  self.ticker.clear();
  if (self.link.usable()) self.link.link().close();
  self.lose_calls(nullptr);
  self.changed.wake_all();
  co_await self.tasks.join();
  while (self.link.usable() || self.hello_link != nullptr) co_await self.changed.wait();
  self.link = {};
}

// Reconnects for as long as the session lives.
Task<> ClientSession::Impl::keep_link() {
  std::uint64_t pause_ms = limits::kReconnectFirstMs;
  while (state != State::closed && state != State::closing) {
    if (state == State::up) {
      pause_ms = limits::kReconnectFirstMs;
      co_await changed.wait();
      continue;
    }
    if (state == State::refused) co_return;
    const Status opened = co_await open_link();
    if (opened.ok() || state == State::closed || state == State::closing) continue;
    co_await sleep_for(runtime, pause_ms * kMillisecond);
    pause_ms = std::min<std::uint64_t>(pause_ms * 2, limits::kReconnectLastMs);
  }
}

// One try: connect, hello, and the answer to it.
Task<Status> ClientSession::Impl::open_link() {
  Link* opened = nullptr;
  const std::uint64_t deadline = runtime.now_ns() + limits::kConnectMs * kMillisecond;
  const Outcome connected = co_await submit(
      [&](Completion& done) { return transport.connect(std::string_view(options.address), owner, &opened, done); },
      deadline);
  if (!connected.ok()) co_return connected.status;
  if (state == State::closed || state == State::closing) {
    hello_link = new LinkHold(*opened);
    opened->close();
    while (hello_link != nullptr) co_await changed.wait();
    co_return Status{Code::closed, 0, "session closed"};
  }
  hello_link = new LinkHold(*opened);
  hello_answer.reset();
  wire::Hello hello;
  hello.cluster = options.cluster;
  hello.target = options.target;
  hello.client = options.client;
  hello.client_name = options.client_name;
  hello.session = session_id;
  hello.boot_epoch = boot_epoch;
  hello.slots = static_cast<std::uint32_t>(slots.size());
  hello.lock_sessions = lock_sessions;
  hello.client_time_ns = runtime.wall_ns();
  wire::Encoded body;
  wire::encode(hello, body);
  wire::Envelope envelope;
  envelope.kind = Kind::hello;
  const LinkReference reference(hello_link);
  ++messages_sent;
  hello_sent_ns = runtime.now_ns();
  const Status sent = co_await send_message(reference, envelope, body.bytes(), Eager{});
  if (sent.ok()) {
    Alarm too_late(runtime, [&] {
      if (!hello_answer) hello_answer = Status{Code::timed_out, 0, "hello"};
      changed.wake_all();
    });
    too_late.set(limits::kHelloMs * kMillisecond);
    while (!hello_answer && reference.usable() && state != State::closed) co_await changed.wait();
  }
  if (!hello_answer) hello_answer = sent.ok() ? Status{Code::closed, 0, "link closed before welcome"} : sent;
  if (hello_answer->ok() && reference.usable()) {
    link = reference;
    hello_link = nullptr;
    if (restarted) {
      state = State::restarting;
      const Status claimed = co_await restart();
      if (!claimed.ok()) {
        if (reference.usable()) reference.link().close();
        while (reference.usable()) co_await changed.wait();
        co_return claimed;
      }
    }
    state = State::up;
    log.note({.subject = session_id, .target = options.target, .kind = EventKind::link});
    changed.wake_all();
    co_return kOk;
  }
  const Status why = hello_answer->ok() ? Status{Code::closed, 0, "link closed after welcome"} : *hello_answer;
  if (reference.usable()) reference.link().close();
  while (hello_link != nullptr) co_await changed.wait();
  co_return why;
}

void ClientSession::Impl::on_welcome(const wire::Welcome& welcome) {
  last_heard_ns = runtime.now_ns();
  pings_sent_ns.clear();
  confirm(hello_sent_ns);
  time_offset_ns = welcome.server_time_ns - runtime.wall_ns();
  server_eager_bytes = welcome.eager_bytes_max;
  server_version = welcome.version;
  const bool known = session_id != 0;
  const bool same = known && welcome.resumed && welcome.session == session_id;
  const bool new_epoch = known && welcome.boot_epoch != boot_epoch;
  const bool kept_all = known && boot_epoch >= welcome.kept_from;
  session_id = welcome.session;
  boot_epoch = welcome.boot_epoch;
  slot_count = std::clamp<std::uint32_t>(welcome.slots, 1, limits::kSlotsPerSession);
  if (same) {
    if (new_epoch) RIDEAU_MARK(session_outlived_restart);
    if (new_epoch) restarted = true;
    if (!restarted) set_durable(welcome.durable);
  } else {
    const bool unused = known && !answered;
    if (unused) unused_generation = generation;
    durable = welcome.durable;
    restarted = false;
    answered = false;
    forget_kept();
    forget_server_state();
    if (known) RIDEAU_MARK(client_came_back_forgotten);
    if (known && !new_epoch && !unused) RIDEAU_MARK(client_came_back_ended);
    if (known) {
      log.warning("target %u at %s has forgotten this client's session (boot epoch %llu): starting a new one",
                  options.target, options.address.c_str(), static_cast<unsigned long long>(boot_epoch));
      events.on_new_epoch(boot_epoch, kept_all);
    }
  }
}

// The server starts all slots anew: what was sent under the old session has no answer any more.
void ClientSession::Impl::forget_server_state() {
  ++generation;
  for (Slot& slot : slots) {
    slot.sequence = 0;
    slot.poisoned = false;
  }
  for (std::uint32_t i = 0; i < slot_count; ++i) hand_slot(i);
}

void ClientSession::Impl::lose_calls(LinkHold* lost) {
  for (Slot& slot : slots) {
    if (slot.busy && slot.state == CallState::waiting && (lost == nullptr || slot.link == lost)) {
      settle(slot, CallState::link_lost);
    }
  }
}

void ClientSession::Impl::tick() {
  const std::uint64_t now = runtime.now_ns();
  for (Slot& slot : slots) {
    if (!slot.busy || slot.state != CallState::waiting || slot.deadline_ns == 0 || now < slot.deadline_ns) continue;
    log.warning("call %u to target %u at %s has had no answer in time (trace %llx)", slot.request->method,
                options.target, options.address.c_str(), static_cast<unsigned long long>(slot.trace_id));
    if (&slot == eager_slot) {
      // Its answer is arriving into the caller's memory this moment: only the end of the link stops that.
      link.link().close();
      continue;
    }
    slot.poisoned = true;
    settle(slot, CallState::expired);
  }
  changed.wake_all();  // calls that wait for a link look at their deadlines
  // Also while it claims what it held: an answer may never come, and nothing else looks after that link.
  if (state == State::up || state == State::restarting) {
    if (now - last_heard_ns > 3 * limits::kPingMs * kMillisecond) {
      log.warning("target %u at %s is silent: trying a new link", options.target, options.address.c_str());
      link.link().close();
    } else if (now - confirmed_ns > limits::kPingMs * kMillisecond / 2) {
      send_ping();
    }
  }
  ticker.set(kSecond);
}

void ClientSession::Impl::send_simple(Kind kind) {
  wire::Envelope envelope;
  envelope.kind = kind;
  ++messages_sent;
  tasks.spawn(send_owned(link, envelope, wire::Encoded{}));
}

void ClientSession::Impl::send_ping() {
  pings_sent_ns.push_back(runtime.now_ns());
  send_simple(Kind::ping);
}

void ClientSession::Impl::confirm(std::uint64_t sent_ns) {
  confirmed_ns = std::max(confirmed_ns, sent_ns);
  if (doubters != 0) changed.wake_all();
}

void ClientSession::Impl::malformed(Link& from, const char* what) {
  log.error("target %u at %s sent %s: closing the link", options.target, options.address.c_str(), what);
  from.close();
}

LinkEvents* ClientSession::on_link(Link&) noexcept { return nullptr; }  // clients do not listen

Sink ClientSession::on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept {
  Impl& self = *impl_;
  if (self.hello_link != nullptr && &self.hello_link->link() == &link) {
    return self.receive(*self.hello_link, loan, eager_bytes);
  }
  if (self.link.usable() && &self.link.link() == &link) return self.receive(*self.link.get(), loan, eager_bytes);
  link.give_back(loan);
  return {};
}

Sink ClientSession::Impl::receive(LinkHold& hold, MessageLoan loan_given, std::uint64_t eager_bytes) {
  Loan loan(hold, loan_given);
  eager_slot = nullptr;
  wire::Envelope envelope;
  Bytes body;
  if (!wire::decode(loan_given.head, &envelope, &body).ok()) {
    malformed(hold.link(), "a malformed message");
    return {};
  }
  last_heard_ns = runtime.now_ns();
  ++messages_received;
  // A callback may follow the welcome at once, before open_link() has gone on.
  const bool welcomed = hello_answer.has_value() && hello_answer->ok();
  if (&hold == hello_link && !welcomed) {
    wire::Welcome welcome;
    wire::Refusal refusal;
    if (hello_answer) return {};
    if (envelope.kind == Kind::welcome && wire::decode(body, &welcome).ok()) {
      on_welcome(welcome);
      hello_answer = kOk;
    } else if (envelope.kind == Kind::refusal && wire::decode(body, &refusal).ok()) {
      last_refusal = std::string(refusal.reason);
      log.error("target %u at %s refused this client: %s", options.target, options.address.c_str(),
                last_refusal.c_str());
      if (refusal.code == Code::refused) state = State::refused;
      hello_answer = Status{refusal.code, 0, "refused by the server"};
    } else {
      malformed(hold.link(), "something else than an answer to hello");
    }
    changed.wake_all();
    return {};
  }
  switch (envelope.kind) {
    case Kind::reply:
      return receive_reply(hold, envelope, body, std::move(loan), eager_bytes);
    case Kind::callback:
      receive_callback(hold, envelope, body, std::move(loan));
      return {};
    case Kind::pong:
      if (pings_sent_ns.empty()) {
        malformed(hold.link(), "an answer to a ping that was not sent");
        return {};
      }
      confirm(pings_sent_ns.front());
      pings_sent_ns.pop_front();
      if (state == State::up) set_durable(envelope.durable);
      return {};
    case Kind::goodbye:
      hold.link().close();
      return {};
    default:
      malformed(hold.link(), "a message that only clients send");
      return {};
  }
}

Sink ClientSession::Impl::receive_reply(LinkHold& hold, const wire::Envelope& envelope, Bytes body, Loan loan,
                                        std::uint64_t eager_bytes) {
  if (envelope.slot >= slots.size()) {
    malformed(hold.link(), "a reply to a slot that does not exist");
    return {};
  }
  Slot& slot = slots[state == State::restarting ? limits::kRecoverySlot : envelope.slot];
  // Replies to calls that were given up, or answered already over another link, are of no interest.
  const bool wanted = slot.busy && slot.state == CallState::waiting && slot.number == envelope.slot &&
                      slot.sequence == envelope.sequence && slot.link == &hold;
  if (!wanted) return {};
  set_durable(envelope.durable);
  confirm(slot.sent_ns);
  slot.envelope = envelope;
  slot.body = body;
  slot.loan = std::move(loan);
  if (eager_bytes == 0) {
    settle(slot, CallState::answered);
    return {};
  }
  const Request& request = *slot.request;
  if (bytes_in(request.room, request.room_parts) < eager_bytes || envelope.payload_bytes != eager_bytes) {
    malformed(hold.link(), "a payload that nobody asked for");
    return {};
  }
  eager_slot = &slot;
  return {request.room, request.room_parts};
}

void ClientSession::on_eager(Link&, Status status) noexcept {
  Impl& self = *impl_;
  Impl::Slot* slot = std::exchange(self.eager_slot, nullptr);
  if (slot == nullptr || slot->state != Impl::CallState::waiting) return;
  // A failure means that the link is going down; the call goes on over the next one.
  if (status.ok()) self.settle(*slot, Impl::CallState::answered);
}

void ClientSession::Impl::receive_callback(LinkHold& hold, const wire::Envelope& envelope, Bytes body, Loan loan) {
  if (callbacks_running >= limits::kCallbacksPerSession) {
    malformed(hold.link(), "more callbacks at once than agreed");
    return;
  }
  ++callbacks_running;
  tasks.spawn(answer_callback(LinkReference(&hold), envelope, body, std::move(loan)));
}

Task<> ClientSession::Impl::answer_callback(LinkReference from, wire::Envelope envelope, Bytes body, Loan loan) {
  TraceEvent event{.trace_id = envelope.trace_id,
                   .subject = session_id,
                   .target = options.target,
                   .kind = EventKind::asked,
                   .method = envelope.method};
  log.note(event);
  CallbackReply answer = co_await events.on_callback(envelope.method, body, envelope.trace_id);
  event.kind = EventKind::asked_end;
  event.status = static_cast<std::uint32_t>(answer.status.code);
  log.note(event);
  --callbacks_running;
  wire::Envelope head;
  head.kind = Kind::callback_reply;
  head.method = envelope.method;
  head.sequence = envelope.sequence;
  head.trace_id = envelope.trace_id;
  head.status = answer.status;
  ++messages_sent;
  // Over a dead link nothing is sent: the server asks again over the next one.
  const Status sent = co_await send_message(from, head, answer.body.bytes(), Eager{});
  static_cast<void>(sent);
  static_cast<void>(loan);
}

void ClientSession::on_closed(Link& link, Status why) noexcept {
  Impl& self = *impl_;
  LinkHold* hold = nullptr;
  if (self.hello_link != nullptr && &self.hello_link->link() == &link) {
    hold = std::exchange(self.hello_link, nullptr);
    if (why.code == Code::refused && !self.hello_answer) self.hello_answer = why;
  } else if (self.link.get() != nullptr && &self.link.link() == &link) {
    hold = self.link.get();
  }
  if (hold == nullptr) {
    link.release();
    return;
  }
  self.eager_slot = nullptr;
  self.lose_calls(hold);
  const bool was_current = self.link.get() == hold;
  hold->mark_closed();
  if (was_current) {
    self.link = {};
    if (self.state == Impl::State::up || self.state == Impl::State::restarting) {
      self.state = Impl::State::down;
      self.log.note({.subject = self.session_id,
                     .target = self.options.target,
                     .kind = EventKind::link_end,
                     .status = static_cast<std::uint32_t>(why.code)});
      self.log.info("link to target %u at %s closed (%s): reconnecting", self.options.target,
                    self.options.address.c_str(), code_name(why.code));
    }
  }
  self.changed.wake_all();
}

}  // namespace rideau::rpc
