// SPDX-License-Identifier: Apache-2.0
// What a call carries and what comes back, as the roles see it. Bodies are encoded messages that the framework does not
// look into; payloads are bytes of files. Whether a payload travels in the message or through lent memory is decided
// below this interface, by its size and the limits of the transport.
#pragma once

#include "framework/base/result.hpp"
#include "framework/rpc/link_hold.hpp"
#include "rideau/buffer.hpp"
#include "rideau/transport.hpp"

#include <cerrno>
#include <cstdint>
#include <functional>
#include <utility>

namespace rideau::rpc {

// Bytes of a received message, given back to its transport when this goes.
class Loan {
 public:
  Loan() = default;
  Loan(LinkHold& hold, MessageLoan loan) : hold_(&hold), loan_(loan) { hold.add_reference(); }
  Loan(Loan&& other) noexcept : hold_(std::exchange(other.hold_, nullptr)), loan_(other.loan_) {}
  Loan& operator=(Loan&& other) noexcept {
    if (this != &other) {
      give_back();
      hold_ = std::exchange(other.hold_, nullptr);
      loan_ = other.loan_;
    }
    return *this;
  }
  ~Loan() { give_back(); }

 private:
  void give_back() noexcept {
    if (hold_ == nullptr) return;
    LinkHold* hold = std::exchange(hold_, nullptr);
    if (!hold->abandoned()) hold->link().give_back(loan_);
    hold->drop_reference();
  }
  LinkHold* hold_ = nullptr;
  MessageLoan loan_{};
};

// All views are lent until call() returned.
struct Request {
  std::uint16_t method = 0;
  bool modifies = false;  // executed exactly once, also when it has to be sent again
  // Means the same under a new session, where the target has restarted or given up the one before: then it is sent
  // (again) under that. Changes only while the locks are there that they rest on (set_lock_sessions).
  bool outlives_restart = false;
  std::uint64_t trace_id = 0;     // 0: a new one
  std::uint32_t deadline_ms = 0;  // 0: limits::kCallMs. kNoDeadline: as long as there is a link (locks)
  Bytes body{};
  const IoVec* payload = nullptr;  // sent with the call
  std::uint32_t payload_parts = 0;
  const IoVec* room = nullptr;  // filled with the payload of the reply
  std::uint32_t room_parts = 0;
};

constexpr std::uint32_t kNoDeadline = 0xffff'ffff;

// Why a call has no answer when its session ended: it may have been executed, or certainly was not.
constexpr Status kOutcomeUnknown{Code::closed, ESTALE, "the target has forgotten the session"};
constexpr Status kNeverSent{Code::closed, EAGAIN, "the session ended before the call was sent"};
constexpr bool is_outcome_unknown(const Status& status) noexcept {
  return status.code == Code::closed && status.os_error == ESTALE;
}
constexpr bool is_never_sent(const Status& status) noexcept {
  return status.code == Code::closed && status.os_error == EAGAIN;
}

// The answer of the server, or why there is none: Code::closed when the session or the target's epoch ended.
struct Reply {
  Status status{};
  Bytes body{};  // valid while this Reply lives
  std::uint64_t transaction = 0;
  std::uint64_t durable = 0;
  std::uint64_t payload_bytes = 0;  // that arrived in the room
  Loan loan{};

  bool ok() const noexcept { return status.ok(); }
};

}  // namespace rideau::rpc
