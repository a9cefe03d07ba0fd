// SPDX-License-Identifier: Apache-2.0
// The head of every message as plain structs, and the one place that turns them into bytes and back. Schema and version
// rule: envelope.capnp. Decoding touches every field, bounds every list, and never throws.
#pragma once

#include "framework/base/result.hpp"
#include "framework/base/uuid.hpp"
#include "rideau/buffer.hpp"
#include "rideau/transport.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace rideau::wire {

constexpr std::uint32_t kProtocolVersion = 1;
constexpr std::uint32_t kLockSessionsMax = 64;  // of one client

enum class Kind : std::uint16_t { hello, welcome, refusal, call, reply, callback, callback_reply, ping, pong, goodbye };

enum Flags : std::uint32_t { kModifies = 1, kResend = 2, kChecksummed = 4, kReplay = 8 };

struct RegionRef {
  RegionKey key{};
  std::uint64_t size = 0;
  bool present() const noexcept { return key.size != 0; }
};

struct Envelope {
  Kind kind = Kind::call;
  std::uint16_t method = 0;
  std::uint32_t flags = 0;
  std::uint32_t slot = 0;
  std::uint64_t sequence = 0;
  std::uint64_t trace_id = 0;
  std::uint32_t deadline_ms = 0;
  Status status{};
  std::uint64_t transaction = 0;
  std::uint64_t durable = 0;
  std::uint64_t payload_bytes = 0;
  std::uint32_t payload_checksum = 0;
  std::uint64_t room = 0;
  RegionRef source{};
  RegionRef sink{};
};

// A session of the same client at another target, under whose locks it works here.
struct LockSession {
  std::uint32_t target = 0;
  std::uint64_t session = 0;
};

struct Hello {
  std::uint32_t protocol_min = kProtocolVersion;
  std::uint32_t protocol_max = kProtocolVersion;
  Uuid cluster{};
  std::uint32_t target = 0;
  Uuid client{};
  std::string_view client_name{};  // into the message
  std::uint64_t session = 0;
  std::uint64_t boot_epoch = 0;
  std::uint32_t slots = 0;
  std::vector<LockSession> lock_sessions{};  // at most kLockSessionsMax
  std::int64_t client_time_ns = 0;
};

struct Welcome {
  std::uint32_t protocol = kProtocolVersion;
  std::uint64_t session = 0;
  std::uint64_t boot_epoch = 0;
  std::uint32_t target = 0;
  std::uint32_t slots = 0;
  bool resumed = false;
  std::int64_t server_time_ns = 0;
  std::uint32_t lease_ms = 0;
  std::uint64_t durable = 0;
  std::uint32_t eager_bytes_max = 0;
  std::string_view version{};  // into the message
  std::uint64_t kept_from = 0;
};

struct Refusal {
  std::string_view reason{};  // into the message
  Code code = Code::refused;
};

// An encoded Cap'n Proto message: whole words, so that messages can follow each other in one head.
class Encoded {
 public:
  Bytes bytes() const noexcept { return Bytes(static_cast<const void*>(words_.data()), words_.size() * 8); }
  std::vector<std::uint64_t>& words() noexcept { return words_; }

 private:
  std::vector<std::uint64_t> words_;
};

void encode(const Envelope& from, Encoded& to);
void encode(const Hello& from, Encoded& to);
void encode(const Welcome& from, Encoded& to);
void encode(const Refusal& from, Encoded& to);

// `head` is 8-byte aligned. *body receives what follows the envelope: a view into `head`.
Status decode(Bytes head, Envelope* to, Bytes* body);
Status decode(Bytes body, Hello* to);
Status decode(Bytes body, Welcome* to);
Status decode(Bytes body, Refusal* to);

}  // namespace rideau::wire
