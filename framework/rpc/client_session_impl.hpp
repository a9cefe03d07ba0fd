// SPDX-License-Identifier: Apache-2.0
// Inside of ClientSession: shared by the files that keep the link up and that make calls.
#pragma once

#include "framework/base/limits.hpp"
#include "framework/observe/log.hpp"
#include "framework/rpc/client_session.hpp"
#include "framework/rpc/outgoing.hpp"
#include "framework/runtime/sync.hpp"

#include <array>
#include <deque>
#include <optional>
#include <vector>

namespace rideau::rpc {

struct ClientSession::Impl {
  // One call in flight, in the frame of call(). What arrives for it is stored here.
  enum class CallState : std::uint8_t { waiting, answered, link_lost, expired };
  struct Slot {
    std::uint32_t number = 0;  // on the wire
    std::uint64_t sequence = 0;
    bool busy = false;
    bool patient = false;   // without a deadline as long as the client does not leave
    bool poisoned = false;  // a call was given up: its outcome is unknown, so the slot is not used again
    CallState state = CallState::waiting;
    Completion* waiter = nullptr;
    const Request* request = nullptr;
    LinkHold* link = nullptr;       // that the call was sent over
    std::uint64_t deadline_ns = 0;  // 0: none
    std::uint64_t sent_ns = 0;
    std::uint64_t trace_id = 0;
    std::uint64_t transaction = 0;  // that a call had which is made again
    wire::Envelope envelope{};      // of the reply
    Bytes body{};
    Loan loan{};
  };
  enum class State : std::uint8_t { idle, connecting, up, down, restarting, refused, closing, closed };
  // A change that was answered and is not known to be durable.
  struct Kept {
    std::uint32_t slot = 0;
    std::uint64_t sequence = 0;
    std::uint64_t transaction = 0;
    std::uint16_t method = 0;
    std::vector<std::uint8_t> request;
    std::vector<std::uint8_t> reply;
  };

  Impl(ClientSession& owner, Runtime& runtime, Transport& transport, Logger& log, SessionEvents& events,
       SessionOptions options);
  ~Impl();

  // client_session.cpp: the link
  Task<> keep_link();
  Task<Status> open_link();
  void on_welcome(const wire::Welcome& welcome);
  void forget_server_state();
  void lose_calls(LinkHold* link);
  void tick();
  Sink receive(LinkHold& hold, MessageLoan loan, std::uint64_t eager_bytes);
  Sink receive_reply(LinkHold& hold, const wire::Envelope& envelope, Bytes body, Loan loan, std::uint64_t eager_bytes);
  void receive_callback(LinkHold& hold, const wire::Envelope& envelope, Bytes body, Loan loan);
  Task<> answer_callback(LinkReference link, wire::Envelope envelope, Bytes body, Loan loan);
  void send_simple(wire::Kind kind);
  void send_ping();
  void confirm(std::uint64_t sent_ns);
  void malformed(Link& link, const char* what);

  // client_calls.cpp: calls
  Task<Reply> call(const Request& request);
  Task<Status> attempt(const Request& request, Slot& slot, std::uint32_t flags);
  bool away() const noexcept {
    return state == State::down || state == State::connecting || state == State::restarting;
  }
  Task<std::uint32_t> take_slot();
  void hand_slot(std::uint32_t index);
  void give_back_slot(std::uint32_t index);
  void settle(Slot& slot, CallState state);

  // client_replay.cpp: what a restart of the target may lose
  void keep(const Slot& slot, const Request& request, const Reply& reply);
  void set_durable(std::uint64_t upto);
  void forget_kept();
  Task<Status> restart();
  Task<Reply> call_in_restart(const Request& request, std::uint32_t number, std::uint64_t sequence, std::uint32_t flags,
                              std::uint64_t transaction);

  ClientSession& owner;
  Runtime& runtime;
  Transport& transport;
  Logger& log;
  SessionEvents& events;
  const SessionOptions options;
  TaskGroup tasks;
  WaitQueue changed;          // state, or a welcome
  WaitQueue slot_free;        // who waits for a slot; woken with one in slots_handed
  WaitQueue slot_given_back;  // close() waits for all
  Alarm ticker;

  State state = State::idle;
  LinkReference link;              // usable while state is up
  LinkHold* hello_link = nullptr;  // said hello, not yet welcomed
  std::optional<Status> hello_answer;
  std::uint64_t session_id = 0;
  std::uint64_t boot_epoch = 0;
  std::uint64_t generation = 0;  // grows when the server lost the session
  std::vector<wire::LockSession> lock_sessions;
  std::uint64_t lock_turns = 0;             // how often the locks went
  std::uint64_t unused_generation = ~0ull;  // ended without an answer to any call: none of its calls was executed
  bool answered = false;                    // a call was, in this generation
  bool restarted = false;                   // what the target had in memory was not claimed again yet
  std::deque<Kept> kept;                    // by transaction
  std::vector<Kept> spare;                  // memory of those that went
  std::uint64_t kept_bytes = 0;
  std::uint64_t claims = 0;  // sequence of the slot for them
  std::uint64_t durable = 0;
  std::int64_t time_offset_ns = 0;
  std::uint32_t server_eager_bytes = 0;
  std::uint32_t slot_count = limits::kSlotsPerSession;
  std::array<Slot, limits::kSlotsPerSession + 1> slots{};  // the last one: limits::kRecoverySlot
  std::uint32_t free_hint = 0;
  std::deque<std::uint32_t> slots_handed;  // to those who waited and go on in this order
  std::uint32_t slots_busy = 0;
  Slot* eager_slot = nullptr;  // whose payload is arriving
  std::uint32_t callbacks_running = 0;
  std::uint64_t last_heard_ns = 0;
  std::uint64_t hello_sent_ns = 0;
  std::deque<std::uint64_t> pings_sent_ns;  // over this link, without an answer yet
  std::uint64_t confirmed_ns = 0;           // when the newest message was sent that the server answered
  std::uint32_t doubters = 0;               // who wait in until_trusted()
  std::uint64_t leave_by_ns = 0;            // not 0: calls without a link end then
  std::string last_refusal;
  std::string server_version;
  std::uint64_t next_trace = 0;  // random at the start: two clients do not mean the same
  std::uint64_t calls_sent = 0;
  std::uint64_t messages_sent = 0;
  std::uint64_t messages_received = 0;
  std::uint64_t payload_sent = 0;  // bytes
  std::uint64_t payload_received = 0;
  CallCounts counts;
};

}  // namespace rideau::rpc
