// SPDX-License-Identifier: Apache-2.0
// ClientSession: a client's side of its session with one target. Keeps a link up (reconnects with back-off), numbers
// calls by slot, sends what was not answered again over a new link, answers callbacks of the server.
//
// A target that comes back with a new boot epoch may know the session still. Then its owner claims again what the
// target kept in memory (SessionEvents::on_restart), calls that were answered and may be lost are made again, in the
// order of their transactions, and at last calls without an answer are sent again: for callers it was a delay.
//
// Where the target has forgotten the session, calls in flight end with Code::closed, SessionEvents::on_new_epoch is
// told, and later calls go to the new epoch.
#pragma once

#include "framework/base/limits.hpp"
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

struct CallbackReply {
  Status status{};
  wire::Encoded body{};
};

// The owner of a session: told of its turns, answers the server's calls. Called on the node's thread.
class SessionEvents {
 public:
  // `body` is valid until the returned task ended.
  virtual Task<CallbackReply> on_callback(std::uint16_t method, Bytes body, std::uint64_t trace_id) = 0;
  // The target lost this session (restart, or an eviction): locks, opens and grants under it are gone.
  // `kept_all`: nothing that it answered is lost.
  virtual void on_new_epoch(std::uint64_t boot_epoch, bool kept_all) = 0;
  // The target restarted and knows this session. Claims, by ClientSession::claim() and replay(), what the target had in
  // memory alone; ok ends the restart: ordinary calls go on, and all that was answered before is durable. After a
  // failure it is called again, over a new link.
  virtual Task<Status> on_restart() { co_return kOk; }

 protected:
  ~SessionEvents() = default;
};

struct SessionOptions {
  std::string address;  // of the target's node
  Uuid cluster{};
  std::uint32_t target = 0;
  Uuid client{};
  std::string client_name;
  std::uint32_t connect_ms = limits::kConnectMs;  // how long connect() tries
  // Calls wait for a target that is away for as long as it takes, until leave(). Otherwise limits::kCallMs.
  bool patient = false;
};

class ClientSession final : LinkEvents {
 public:
  ClientSession(Runtime& runtime, Transport& transport, Logger& log, SessionEvents& events, SessionOptions options);
  ~ClientSession();

  // Makes the session; fails when the target refuses (another cluster, another target) or does not answer in time, and
  // may then be called again. After it succeeded the session looks after itself.
  Task<Status> connect();
  // Under whose locks the client works here; told with each hello. After connect() it says that the locks of before are
  // gone: calls with bytes or changes that were begun under them are not sent any more, and end with Code::closed.
  void set_lock_sessions(std::vector<wire::LockSession> sessions);
  // At most limits::kSlotsPerSession run at once; more wait their turn.
  Task<Reply> call(const Request& request);
  // For SessionEvents::on_restart() alone. A call that changes nothing durable, made at once; closed: the link is lost.
  Task<Reply> claim(const Request& request);
  // Makes every call again that was answered and may be lost with the restart.
  Task<Status> replay();
  // Whether so much is kept for a restart that the target should make something durable before more is changed.
  bool keeps_too_much() const noexcept;
  // The client is about to stop: from here on no call waits longer than this for a target that is away.
  void leave(std::uint32_t patience_ms = limits::kLeaveMs) noexcept;
  // Ends the session in order: waits for calls in flight, says goodbye, closes the link.
  Task<> close();

  bool connected() const noexcept;
  // Whether the server certainly has this session still: something that was sent within limits::kTrustMs was answered.
  // Who slept for longer finds out here before he uses what he held under the session.
  bool trusted() const noexcept;
  // Until it is, or until a call would wait no longer either.
  Task<> until_trusted();
  std::uint64_t id() const noexcept;
  std::uint64_t boot_epoch() const noexcept;
  std::uint64_t durable() const noexcept;              // the highest durable transaction the target told
  std::int64_t time_offset_ns() const noexcept;        // add to the local wall clock to have the target's
  const std::string& server_version() const noexcept;  // of the server's software, for people
  const std::string& last_refusal() const noexcept;    // for people; why connect() failed
  // Counts of the hot path.
  std::uint64_t calls_sent() const noexcept;
  std::uint64_t messages_sent() const noexcept;
  // The same and more, for statistics: calls by method, messages, bytes of payloads.
  void collect(MetricList& to, const MetricLabels& labels, MethodName method_name) const;

 private:
  struct Impl;
  LinkEvents* on_link(Link& link) noexcept override;
  Sink on_head(Link& link, MessageLoan loan, std::uint64_t eager_bytes) noexcept override;
  void on_eager(Link& link, Status status) noexcept override;
  void on_closed(Link& link, Status why) noexcept override;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rideau::rpc
