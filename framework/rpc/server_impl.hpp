// SPDX-License-Identifier: Apache-2.0
// Inside of Server: links, sessions, slots and calls, shared by the files that implement them.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/observe/log.hpp"
#include "framework/rpc/buffer_pool.hpp"
#include "framework/rpc/outgoing.hpp"
#include "framework/rpc/server.hpp"
#include "framework/runtime/sync.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace rideau::rpc {

class ServerLink;
class SessionState;

struct TargetState {
  Service* service = nullptr;
  TargetOptions options{};
  CallCounts counts;
  std::map<std::uint64_t, std::unique_ptr<SessionState>> sessions;
};

// What a slot remembers: the call that runs, or how the last one ended.
struct SlotState {
  std::uint64_t sequence = 0;  // of the last call that was taken
  bool running = false;
  bool replied = false;  // the one that runs has answered: the next one may come any moment
  bool kept = false;     // a modifying call ended, and this is its answer
  Status status{};
  std::uint64_t transaction = 0;
  std::vector<std::uint8_t> body;
  std::unique_ptr<ServerCall::State> waiting;  // came while one was still running: sent again, or the next
};

struct ServerCall::State {
  State(Server::Impl& owner, SessionState& of, LinkReference over, const wire::Envelope& head, Bytes content, Loan lent)
      : server(owner), session(of), link(std::move(over)), envelope(head), body(content), loan(std::move(lent)) {}
  ~State() { let_go(); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // The caller's memory in place of a buffer, where it can be seen.
  bool reach(const wire::RegionRef& region, std::uint64_t size, Access access, Reach* out) noexcept;
  void let_go() noexcept;

  Server::Impl& server;
  SessionState& session;
  LinkReference link;
  wire::Envelope envelope;
  Bytes body;
  Loan loan;
  std::uint64_t arrived_ns = 0;
  Buffer payload_buffer;
  IoVec payload_part{};
  Reach payload_reach{};
  Buffer room_buffer;
  IoVec room_part{};
  Reach room_reach{};
  bool payload_ready = false;
  bool payload_lost = false;  // the link died before the payload was here: as if never called
  bool replied = false;
};

class SessionState final : public ServerSession {
 public:
  SessionState(Server::Impl& owner, TargetState& at, std::uint64_t number, const wire::Hello& hello);

  std::uint64_t id() const noexcept override { return id_; }
  const Uuid& client() const noexcept override { return client_; }
  const std::string& client_name() const noexcept override { return name_; }
  bool connected() const noexcept override { return link != nullptr; }
  const std::vector<wire::LockSession>& lock_sessions() const noexcept override { return lock_sessions_; }
  bool ends_in_order() const noexcept override;
  bool ends_with_server() const noexcept override { return ending && !goodbye && stopped; }
  std::uint64_t silent_ns() const noexcept override;
  std::int64_t clock_ahead_ns() const noexcept override { return clock_ahead_ns_; }
  Task<Reply> call_back(std::uint16_t method, Bytes body, std::uint64_t trace_id) override;
  void evict(const std::string& reason) override;

  void take_hello(const wire::Hello& hello);
  void receive_callback_reply(const wire::Envelope& envelope, Bytes body, Loan loan);
  void fail_callbacks();
  bool called_back() const noexcept { return !callbacks_.empty(); }  // and has not answered

  struct Callback {
    Completion* waiter = nullptr;
    bool answered = false;
    bool expired = false;
    wire::Envelope envelope{};
    Bytes body{};
    Loan loan{};
  };

  Server::Impl& server;
  TargetState& target;
  ServerLink* link = nullptr;
  std::uint64_t last_heard_ns = 0;  // over links that closed
  std::uint64_t unlinked_since_ns = 0;
  std::vector<SlotState> slots;
  std::uint32_t calls_running = 0;
  bool ending = false;
  bool goodbye = false;   // and the client wished it
  bool stopped = false;   // because the server stops
  bool restored = false;  // of before the restart: numbers of calls may be missing
  bool awaited = false;   // and its client has not come yet
  WaitQueue changed;      // link came or went, session ends

 private:
  void settle(Callback& callback);
  std::uint64_t id_;
  Uuid client_;
  std::string name_;
  std::vector<wire::LockSession> lock_sessions_;
  std::int64_t clock_ahead_ns_ = 0;
  std::uint64_t next_callback_ = 1;
  std::map<std::uint64_t, Callback*> callbacks_;
};

// Takes the links of one transport.
class Listener final : public LinkEvents {
 public:
  Listener(Server::Impl& owner, Transport& transport) : server_(owner), transport_(transport) {}
  LinkEvents* on_link(Link& link) noexcept override;
  Sink on_head(Link&, MessageLoan, std::uint64_t) noexcept override { return {}; }
  void on_eager(Link&, Status) noexcept override {}
  void on_closed(Link&, Status) noexcept override {}

 private:
  Server::Impl& server_;
  Transport& transport_;
};

struct Server::Impl {
  Impl(Runtime& runtime, Logger& log);

  // server.cpp: links and sessions
  void tick();
  void welcome(ServerLink& link, const wire::Hello& hello);
  void refuse(ServerLink& link, Code code, const std::string& reason);
  void restore(TargetState& target, RestoredSession from);
  Status check_hello(const wire::Hello& hello, std::string* why);
  TargetState* find_target(std::uint32_t target);
  void begin_end(SessionState& session, const std::string& reason);
  void end_if_idle(SessionState& session);
  void end_silent(TargetState& target);
  void malformed(ServerLink& link, const std::string& what);

  // server_calls.cpp: calls
  Sink receive_call(ServerLink& link, const wire::Envelope& envelope, Bytes body, Loan loan, std::uint64_t eager_bytes);
  void start(std::unique_ptr<ServerCall::State> call);
  Task<> run(std::unique_ptr<ServerCall::State> call);
  void send_kept(const ServerCall::State& call, const SlotState& slot);
  // The answer to a call whose change is known to have survived.
  void send_survived(const ServerCall::State& call);

  Runtime& runtime;
  Logger& log;
  WaitQueue changed;
  Alarm ticker;
  BufferPool buffers;
  std::map<std::uint32_t, TargetState> targets;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::map<std::uint64_t, std::unique_ptr<ServerLink>> links;
  std::uint64_t next_link = 1;
  bool stopping = false;
  std::uint64_t messages_received = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t payload_received = 0;  // bytes
  std::uint64_t payload_sent = 0;
  std::uint64_t payload_shown = 0;  // of both: used where the caller has it
  TaskGroup tasks;                  // goes first: its frames hold buffers, and refer to sessions and links
};

class ServerLink final : public LinkEvents {
 public:
  ServerLink(Server::Impl& owner, std::uint64_t number_given, Transport& via, Link& link);
  ~ServerLink();

  LinkEvents* on_link(Link&) noexcept override { return nullptr; }
  Sink on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept override;
  void on_eager(Link& link, Status status) noexcept override;
  void on_closed(Link& link, Status why) noexcept override;

  void close() { hold->link().close(); }
  void send(wire::Envelope envelope, wire::Encoded body);

  Server::Impl& server;
  const std::uint64_t number;
  Transport& transport;
  LinkHold* hold;
  SessionState* session = nullptr;                // once it said hello
  std::unique_ptr<ServerCall::State> eager_call;  // whose payload is arriving
  std::uint64_t last_heard_ns;
};

}  // namespace rideau::rpc
