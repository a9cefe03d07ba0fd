// SPDX-License-Identifier: Apache-2.0
// Server: accepts links of one node and serves the targets on it. Each target is a Service. The server keeps sessions
// and slots, answers resends from the kept reply, fetches payloads, and bounds everything a client can make it hold.
#pragma once

#include "framework/base/uuid.hpp"
#include "framework/rpc/call.hpp"
#include "framework/rpc/call_counts.hpp"
#include "framework/runtime/task_group.hpp"
#include "framework/wire/envelope.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace rideau {
class Logger;
}

namespace rideau::rpc {

class ServerSession;

// One call, from its arrival until its handler returned. Views into it live as long.
class ServerCall {
 public:
  std::uint16_t method() const noexcept;
  Bytes body() const noexcept;
  bool modifies() const noexcept;
  // It was answered before the target's restart, and the change is not there any more. The payload is that answer.
  bool replays() const noexcept;
  std::uint64_t lost_transaction() const noexcept;  // the number that the change had
  std::uint64_t trace_id() const noexcept;
  std::uint32_t slot() const noexcept;
  std::uint64_t sequence() const noexcept;
  ServerSession& session() noexcept;

  // The payload that came with the call: seen in the caller's own memory where the transport shows it, else pulled,
  // where it did not come with the message, checked against its checksum and kept in a buffer of the server. It stays
  // until reply().
  std::uint64_t payload_bytes() const noexcept;
  Task<Status> fetch_payload();
  const IoVec* payload() const noexcept;
  std::uint32_t payload_parts() const noexcept;

  // Room for a reply's payload, until reply(): the memory of the caller itself where the transport shows it, else a
  // buffer of the server, page-aligned. Waits while these are exhausted. `size` is at most room_bytes(), what the
  // caller takes.
  struct Room {
    const IoVec* parts = nullptr;
    std::uint32_t part_count = 0;
  };
  std::uint64_t room_bytes() const noexcept;
  Task<Room> reply_room(std::uint64_t size);

  // Answers; once. With a payload: its bytes lie at the start of reply_room().
  Task<> reply(Status status, Bytes body, std::uint64_t transaction = 0, std::uint64_t payload_bytes = 0);
  bool replied() const noexcept;

  struct State;
  explicit ServerCall(State& state) noexcept : state_(state) {}

 private:
  State& state_;
};

// A client as the target sees it. Lives from its first hello until its end (goodbye, too long without a link,
// eviction).
class ServerSession {
 public:
  virtual std::uint64_t id() const noexcept = 0;  // unique in this boot epoch and all later ones
  virtual const Uuid& client() const noexcept = 0;
  virtual const std::string& client_name() const noexcept = 0;
  virtual bool connected() const noexcept = 0;
  // Under whose locks it works, as it said with its last hello.
  virtual const std::vector<wire::LockSession>& lock_sessions() const noexcept = 0;
  // Of a session that ends: the client wished it, with nothing of it under way any more, or the server stops.
  virtual bool ends_in_order() const noexcept = 0;
  // Of a session that ends: because the server stops. The client will look for it at the next start.
  virtual bool ends_with_server() const noexcept = 0;
  // For people who look for the reason of an eviction: how long ago its last message came, and by how much its clock
  // was ahead of the server's at its last hello.
  virtual std::uint64_t silent_ns() const noexcept = 0;
  virtual std::int64_t clock_ahead_ns() const noexcept = 0;
  // Calls the client and waits for its answer. timed_out after limits::kCallbackMs, closed when the session ends.
  virtual Task<Reply> call_back(std::uint16_t method, Bytes body, std::uint64_t trace_id) = 0;
  // Ends the session at once: the client is told with its next message. `reason` is for people.
  virtual void evict(const std::string& reason) = 0;
  void* owner_slot = nullptr;  // the service's own

 protected:
  ~ServerSession() = default;
};

// A session of before the target's restart, with the last modifying call of each of its slots that survived.
struct RestoredSlot {
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
  std::uint64_t transaction = 0;
  Status status{};
  std::vector<std::uint8_t> body;
};
struct RestoredSession {
  std::uint64_t id = 0;
  Uuid client{};
  std::string client_name;
  std::vector<RestoredSlot> slots;
};

// What a role offers on one target.
class Service {
 public:
  // Handles one call; a handler that returns without a reply is answered with io_error.
  virtual Task<> handle(ServerCall& call) = 0;
  // Whether this client may have a session, new or resumed, under these locks. `why` is for people.
  virtual Status admit(const Uuid& client, const std::vector<wire::LockSession>& lock_sessions, std::string* why) {
    static_cast<void>(client);
    static_cast<void>(lock_sessions);
    static_cast<void>(why);
    return kOk;
  }
  virtual void on_session(ServerSession& session) = 0;
  // Sessions that clients may go on with after a restart; asked for once, before anybody can come. Each is told of by
  // on_session(). Those whose clients do not come are the service's to evict.
  virtual std::vector<RestoredSession> restored_sessions() { return {}; }
  // The session is about to end: calls of it that wait for something (a lock) must end soon. `reason` is for people.
  virtual void on_session_closing(ServerSession& session, const std::string& reason) = 0;
  // Of a session whose client has had no link for its lease: whether to end it now. false: somebody would lose what
  // nobody else asks for; it ends when a call back to it waits, or after limits::kSessionKeptMs.
  virtual bool ends_after_lease(ServerSession& session) {
    static_cast<void>(session);
    return true;
  }
  // No call of the session runs any more.
  virtual void on_session_end(ServerSession& session) = 0;
  // Every transaction up to this number is durable: rides in each reply.
  virtual std::uint64_t durable() const noexcept = 0;
  // Never the same number twice for a target, also after a crash.
  virtual std::uint64_t next_session_id() = 0;
  // For statistics.
  virtual MethodName method_name() const noexcept { return nullptr; }

 protected:
  ~Service() = default;
};

struct TargetOptions {
  Uuid cluster{};
  std::uint32_t target = 0;
  std::uint64_t boot_epoch = 0;
  // Nothing that was answered in this epoch or later ones is lost, durable or not. 0: that is boot_epoch itself.
  std::uint64_t kept_from = 0;
};

class Server {
 public:
  Server(Runtime& runtime, Logger& log);
  ~Server();
  // Targets are added before listen().
  void add_target(Service& service, TargetOptions options);
  // Once for each transport, which is lent until the server is gone. `bound` receives the address that clients can use.
  Status listen(Transport& transport, const std::string& address, std::string* bound);
  // Takes no new calls, waits for the handlers that run, ends every session.
  Task<> stop();

  struct SessionInfo {
    std::uint32_t target;
    std::uint64_t id;
    Uuid client;
    std::string client_name;
    bool connected;
  };
  std::vector<SessionInfo> sessions() const;
  // Ends every session of this client at once; false when there is none. `reason` is for the log.
  bool evict(const Uuid& client, const std::string& reason);
  // Calls by target and method, messages, bytes of payloads, sessions, buffers.
  void collect(MetricList& to) const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace rideau::rpc
