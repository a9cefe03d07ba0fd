// SPDX-License-Identifier: Apache-2.0
// Server: links and hellos, the life and end of sessions.
#include "framework/rpc/server.hpp"

#include "framework/base/sim_hooks.hpp"
#include "framework/base/version.hpp"
#include "framework/rpc/server_impl.hpp"

#include <algorithm>

namespace rideau::rpc {

using Kind = wire::Kind;

Server::Server(Runtime& runtime, Logger& log) : impl_(std::make_unique<Impl>(runtime, log)) {}
Server::~Server() = default;

Server::Impl::Impl(Runtime& world, Logger& logger)
    : runtime(world),
      log(logger),
      changed(world),
      ticker(world, [this] { tick(); }),
      buffers(world, limits::kServerBufferBytes),
      tasks(world) {}

void Server::add_target(Service& service, TargetOptions options) {
  TargetState& target = impl_->targets[options.target];
  target.service = &service;
  target.options = options;
}

Status Server::listen(Transport& transport, const std::string& address, std::string* bound) {
  std::uint8_t text[256];
  std::size_t size = 0;
  auto listener = std::make_unique<Listener>(*impl_, transport);
  const Status listening =
      transport.listen(std::string_view(address), *listener, MutableBytes(text, sizeof text), &size);
  if (!listening.ok()) return listening;
  impl_->listeners.push_back(std::move(listener));
  if (impl_->listeners.size() == 1) {
    for (auto& [number, target] : impl_->targets) {
      for (RestoredSession& session : target.service->restored_sessions()) impl_->restore(target, std::move(session));
    }
  }
  if (bound != nullptr) bound->assign(reinterpret_cast<const char*>(text), std::min(size, sizeof text));
  impl_->ticker.set(kSecond);
  return kOk;
}

Task<> Server::stop() {
  Impl& self = *impl_;
  self.stopping = true;
  for (auto& [number, target] : self.targets) {
    std::vector<SessionState*> sessions;
    for (auto& [id, session] : target.sessions) sessions.push_back(session.get());
    for (SessionState* session : sessions) {
      session->stopped = !session->ending;
      self.begin_end(*session, "the server stops");
    }
  }
  for (;;) {
    bool sessions_left = false;
    for (const auto& [number, target] : self.targets) sessions_left = sessions_left || !target.sessions.empty();
    if (!sessions_left) break;
    co_await self.changed.wait();
  }
  for (auto& [number, link] : self.links) link->close();
  while (!self.links.empty()) co_await self.changed.wait();
  self.ticker.clear();
  co_await self.tasks.join();
}

std::vector<Server::SessionInfo> Server::sessions() const {
  std::vector<SessionInfo> all;
  for (const auto& [number, target] : impl_->targets) {
    for (const auto& [id, session] : target.sessions) {
      all.push_back({number, id, session->client(), session->client_name(), session->connected()});
    }
  }
  return all;
}

bool Server::evict(const Uuid& client, const std::string& reason) {
  std::vector<SessionState*> found;
  for (auto& [number, target] : impl_->targets) {
    for (auto& [id, session] : target.sessions) {
      if (session->client() == client && !session->ending) found.push_back(session.get());
    }
  }
  for (SessionState* session : found) session->evict(reason);
  return !found.empty();
}

void Server::collect(MetricList& to) const {
  const CallCounts::Names names{"rideau_server_calls_total", "rideau_server_calls_failed_total",
                                "rideau_server_call_seconds"};
  for (const auto& [number, target] : impl_->targets) {
    const MetricLabels labels{{"target", std::to_string(number)}};
    target.counts.collect(to, names, labels, target.service->method_name());
    to.gauge("rideau_sessions", "Clients that have a session.", labels, static_cast<double>(target.sessions.size()));
  }
  to.counter("rideau_server_messages_received_total", "Messages of clients.", {}, impl_->messages_received);
  to.counter("rideau_server_messages_sent_total", "Messages to clients.", {}, impl_->messages_sent);
  to.counter("rideau_server_payload_received_bytes_total", "Bytes of files that came with calls.", {},
             impl_->payload_received);
  to.counter("rideau_server_payload_sent_bytes_total", "Bytes of files that went with replies.", {},
             impl_->payload_sent);
  to.counter("rideau_server_payload_shown_bytes_total",
             "Bytes of both that were used in the memory of the client, and not moved.", {}, impl_->payload_shown);
  to.gauge("rideau_server_links", "Connections of clients.", {}, static_cast<double>(impl_->links.size()));
  to.gauge("rideau_server_buffer_bytes_free", "Room for payloads that may still be taken at once.", {},
           static_cast<double>(impl_->buffers.bytes_free()));
}

LinkEvents* Listener::on_link(Link& link) noexcept {
  if (server_.stopping) return nullptr;
  const std::uint64_t number = server_.next_link++;
  auto& made = server_.links[number];
  made = std::make_unique<ServerLink>(server_, number, transport_, link);
  return made.get();
}

TargetState* Server::Impl::find_target(std::uint32_t target) {
  const auto found = targets.find(target);
  return found == targets.end() ? nullptr : &found->second;
}

void Server::Impl::tick() {
  const std::uint64_t now = runtime.now_ns();
  for (auto& [number, link] : links) {
    const std::uint64_t silent_ms = (now - link->last_heard_ns) / kMillisecond;
    if (silent_ms > (link->session == nullptr ? limits::kHelloMs : limits::kSessionLeaseMs)) link->close();
  }
  for (auto& [number, target] : targets) end_silent(target);
  if (!stopping) ticker.set(kSecond);
}

// A cable that was pulled is no reason to take from a client what nobody else wants.
void Server::Impl::end_silent(TargetState& target) {
  const std::uint64_t now = runtime.now_ns();
  std::vector<SessionState*> wanted;
  std::vector<SessionState*> forgotten;
  for (auto& [id, session] : target.sessions) {
    if (session->link != nullptr || session->ending || session->awaited) continue;
    const std::uint64_t unlinked_ms = (now - session->unlinked_since_ns) / kMillisecond;
    if (unlinked_ms <= limits::kSessionLeaseMs) continue;
    const bool full = target.sessions.size() >= limits::kSessionsPerTarget;
    if (full || session->called_back() || target.service->ends_after_lease(*session)) {
      wanted.push_back(session.get());
    } else if (unlinked_ms > limits::kSessionKeptMs) {
      forgotten.push_back(session.get());
    }
  }
  if (!wanted.empty()) RIDEAU_MARK(lease_ran_out);
  for (SessionState* session : wanted) begin_end(*session, "it has had no link for the length of its lease");
  for (SessionState* session : forgotten) begin_end(*session, "it has had no link for minutes");
}

void Server::Impl::malformed(ServerLink& link, const std::string& what) {
  const char* who = link.session != nullptr ? link.session->client_name().c_str() : "an unknown peer";
  log.warning("closing the link of %s: it sent %s", who, what.c_str());
  link.close();
}

Status Server::Impl::check_hello(const wire::Hello& hello, std::string* why) {
  if (stopping) {
    *why = "the server is stopping; try again";
    return {Code::busy, 0, "hello"};
  }
  if (hello.protocol_min > wire::kProtocolVersion || hello.protocol_max < wire::kProtocolVersion) {
    *why = "this server speaks protocol " + std::to_string(wire::kProtocolVersion) + ", the client " +
           std::to_string(hello.protocol_min) + " to " + std::to_string(hello.protocol_max) + "; use matching versions";
    return {Code::refused, 0, "hello"};
  }
  const TargetState* target = find_target(hello.target);
  if (target == nullptr) {
    *why = "target " + std::to_string(hello.target) + " is not served here; check the addresses in the configuration";
    return {Code::refused, 0, "hello"};
  }
  if (hello.cluster != target->options.cluster) {
    *why = "target " + std::to_string(hello.target) + " belongs to cluster " + to_text(target->options.cluster) +
           ", the client is configured for cluster " + to_text(hello.cluster);
    return {Code::refused, 0, "hello"};
  }
  // What it had sent under that session must not be executed after what it sends under the next one.
  const auto still_ends = [&hello](const auto& entry) {
    return entry.second->ending && entry.second->client() == hello.client;
  };
  if (std::any_of(target->sessions.begin(), target->sessions.end(), still_ends)) {
    *why = "calls of its last session still run; it is let in when they have ended";
    return {Code::busy, 0, "hello"};
  }
  if (const Status admitted = target->service->admit(hello.client, hello.lock_sessions, why); !admitted.ok()) {
    return admitted;
  }
  if (target->sessions.size() >= limits::kSessionsPerTarget) {
    *why = "target " + std::to_string(hello.target) + " has as many sessions as it can keep";
    return {Code::busy, 0, "hello"};
  }
  return kOk;
}

void Server::Impl::refuse(ServerLink& link, Code code, const std::string& reason) {
  wire::Refusal refusal;
  refusal.reason = reason;
  refusal.code = code;
  wire::Encoded body;
  wire::encode(refusal, body);
  wire::Envelope envelope;
  envelope.kind = Kind::refusal;
  link.send(envelope, std::move(body));
}

void Server::Impl::restore(TargetState& target, RestoredSession from) {
  wire::Hello hello;
  hello.client = from.client;
  hello.client_name = from.client_name;
  hello.slots = limits::kSlotsPerSession + 1;
  auto made = std::make_unique<SessionState>(*this, target, from.id, hello);
  SessionState& session = *made;
  session.restored = session.awaited = true;
  session.last_heard_ns = session.unlinked_since_ns = runtime.now_ns();
  for (RestoredSlot& slot : from.slots) {
    if (slot.slot >= session.slots.size()) continue;
    SlotState& to = session.slots[slot.slot];
    to.sequence = slot.sequence;
    to.kept = true;
    to.status = slot.status;
    to.transaction = slot.transaction;
    to.body = std::move(slot.body);
  }
  target.sessions[from.id] = std::move(made);
  target.service->on_session(session);
}

void Server::Impl::welcome(ServerLink& link, const wire::Hello& hello) {
  std::string why;
  const Status fit = check_hello(hello, &why);
  if (!fit.ok()) {
    log.warning("refused client %.*s: %s", static_cast<int>(hello.client_name.size()), hello.client_name.data(),
                why.c_str());
    refuse(link, fit.code, why);
    return;
  }
  TargetState& target = *find_target(hello.target);
  SessionState* session = nullptr;
  const auto known = target.sessions.find(hello.session);
  const bool found = hello.session != 0 && known != target.sessions.end() && known->second->client() == hello.client &&
                     !known->second->ending;
  // One that is awaited cannot know this epoch yet: the client has lived on while the target went back.
  const bool restarted = found && known->second->restored && hello.boot_epoch < target.options.boot_epoch;
  const bool resumed = restarted || (found && hello.boot_epoch == target.options.boot_epoch && !known->second->awaited);
  if (resumed) {
    session = known->second.get();
    if (session->link != nullptr) {
      ServerLink* old = session->link;
      old->session = nullptr;
      old->close();
    }
    session->take_hello(hello);
    session->awaited = false;
  } else {
    const std::uint64_t id = target.service->next_session_id();
    auto made = std::make_unique<SessionState>(*this, target, id, hello);
    session = made.get();
    session->take_hello(hello);
    target.sessions[id] = std::move(made);
    log.info("client %s has session %llu on target %u", session->client_name().c_str(),
             static_cast<unsigned long long>(id), hello.target);
    target.service->on_session(*session);
  }
  session->link = &link;
  link.session = session;
  wire::Welcome answer;
  answer.session = session->id();
  answer.boot_epoch = target.options.boot_epoch;
  answer.kept_from = target.options.kept_from != 0 ? target.options.kept_from : target.options.boot_epoch;
  answer.target = hello.target;
  answer.slots = static_cast<std::uint32_t>(session->slots.size());
  answer.resumed = resumed;
  answer.server_time_ns = runtime.wall_ns();
  answer.lease_ms = limits::kSessionLeaseMs;
  answer.durable = target.service->durable();
  answer.eager_bytes_max = link.transport.limits().eager_bytes_max;
  answer.version = kVersion;
  wire::Encoded body;
  wire::encode(answer, body);
  wire::Envelope envelope;
  envelope.kind = Kind::welcome;
  link.send(envelope, std::move(body));
  session->fail_callbacks();  // those that wait go on over this link
}

void Server::Impl::begin_end(SessionState& session, const std::string& reason) {
  if (session.ending) return;
  session.ending = true;
  log.note({.subject = session.id(), .target = session.target.options.target, .kind = EventKind::session_end});
  log.info("session %llu of client %s ends: %s", static_cast<unsigned long long>(session.id()),
           session.client_name().c_str(), reason.c_str());
  session.fail_callbacks();
  if (session.link != nullptr) {
    ServerLink* link = std::exchange(session.link, nullptr);
    session.last_heard_ns = link->last_heard_ns;
    link->session = nullptr;
    link->close();
  }
  session.target.service->on_session_closing(session, reason);
  // A task of its own: whoever asked for the end may be a call of this very session.
  tasks.spawn([](Impl& self, TargetState& target, std::uint64_t id) -> Task<> {
    co_await yield_now(self.runtime);
    const auto found = target.sessions.find(id);
    if (found != target.sessions.end()) self.end_if_idle(*found->second);
  }(*this, session.target, session.id()));
}

void Server::Impl::end_if_idle(SessionState& session) {
  if (!session.ending || session.calls_running != 0) return;
  TargetState& target = session.target;
  target.service->on_session_end(session);
  target.sessions.erase(session.id());
  changed.wake_all();
}

ServerLink::ServerLink(Server::Impl& owner, std::uint64_t number_given, Transport& via, Link& link)
    : server(owner),
      number(number_given),
      transport(via),
      hold(new LinkHold(link)),
      last_heard_ns(owner.runtime.now_ns()) {}

ServerLink::~ServerLink() {
  if (hold != nullptr) hold->abandon();
}

void ServerLink::send(wire::Envelope envelope, wire::Encoded body) {
  ++server.messages_sent;
  server.tasks.spawn(send_owned(LinkReference(hold), envelope, std::move(body)));
}

Sink ServerLink::on_head(Link&, MessageLoan given, std::uint64_t eager_bytes) noexcept {
  Loan loan(*hold, given);
  last_heard_ns = server.runtime.now_ns();
  ++server.messages_received;
  wire::Envelope envelope;
  Bytes body;
  if (!wire::decode(given.head, &envelope, &body).ok()) {
    server.malformed(*this, "a malformed message");
    return {};
  }
  if (session == nullptr) {
    wire::Hello hello;
    if (envelope.kind != Kind::hello || !wire::decode(body, &hello).ok()) {
      // A session that ended under way may still have messages in its link: no reason for a warning.
      close();
      return {};
    }
    server.welcome(*this, hello);
    return {};
  }
  switch (envelope.kind) {
    case Kind::call:
      return server.receive_call(*this, envelope, body, std::move(loan), eager_bytes);
    case Kind::callback_reply:
      session->receive_callback_reply(envelope, body, std::move(loan));
      return {};
    case Kind::ping: {
      wire::Envelope answer;
      answer.kind = Kind::pong;
      answer.durable = session->target.service->durable();
      send(answer, {});
      return {};
    }
    case Kind::goodbye:
      session->goodbye = true;
      server.begin_end(*session, "the client said goodbye");
      return {};
    default:
      server.malformed(*this, "a message that only servers send");
      return {};
  }
}

void ServerLink::on_eager(Link&, Status status) noexcept {
  std::unique_ptr<ServerCall::State> call = std::move(eager_call);
  if (call == nullptr || !status.ok() || session == nullptr) return;
  call->payload_ready = true;
  server.start(std::move(call));
}

void ServerLink::on_closed(Link&, Status) noexcept {
  if (session != nullptr) {
    session->link = nullptr;
    session->last_heard_ns = last_heard_ns;
    session->unlinked_since_ns = server.runtime.now_ns();
    session->fail_callbacks();  // those that wait go on over the next link
  }
  eager_call.reset();
  std::exchange(hold, nullptr)->mark_closed();
  server.changed.wake_all();
  server.links.erase(number);  // ends this object
}

}  // namespace rideau::rpc
