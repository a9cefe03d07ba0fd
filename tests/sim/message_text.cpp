// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/message_text.hpp"

#include "framework/wire/envelope.hpp"
#include "plugins/fs/meta_calls.hpp"
#include "plugins/fs/method_names.hpp"

#include <cinttypes>
#include <cstdio>
#include <iterator>

namespace rideau::sim {
namespace {

const char* kind_text(wire::Kind kind) {
  static constexpr const char* kNames[] = {"hello",    "welcome",         "refusal", "call", "answer",
                                           "callback", "callback answer", "ping",    "pong", "goodbye"};
  const auto number = static_cast<std::size_t>(kind);
  return number < std::size(kNames) ? kNames[number] : "message of no kind";
}

std::string method_text(const wire::Envelope& envelope, bool to_objects) {
  const bool of_callback = envelope.kind == wire::Kind::callback || envelope.kind == wire::Kind::callback_reply;
  if (of_callback) {
    switch (static_cast<fs::MetaCallback>(envelope.method)) {
      case fs::MetaCallback::revoke:
        return "revoke";
      case fs::MetaCallback::advisory_locks_granted:
        return "locks granted";
      case fs::MetaCallback::glimpse:
        return "glimpse";
    }
  }
  const char* name = to_objects ? fs::object_method_name(envelope.method) : fs::meta_method_name(envelope.method);
  return !of_callback && name != nullptr ? name : "method " + std::to_string(envelope.method);
}

}  // namespace

std::string message_text(Bytes head, bool to_objects) {
  wire::Envelope envelope;
  Bytes body;
  if (!wire::decode(head, &envelope, &body).ok()) return "message of " + std::to_string(head.size) + " bytes";
  std::string text = kind_text(envelope.kind);
  const bool has_method = envelope.kind == wire::Kind::call || envelope.kind == wire::Kind::reply ||
                          envelope.kind == wire::Kind::callback || envelope.kind == wire::Kind::callback_reply;
  if (!has_method) return text;
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, ", slot %" PRIu32 ".%" PRIu64 ", trace %016" PRIx64, envelope.slot,
                envelope.sequence, envelope.trace_id);
  const bool answers = envelope.kind == wire::Kind::reply || envelope.kind == wire::Kind::callback_reply;
  // An answer says to which slot it belongs, not to which method.
  text += (answers ? std::string() : " " + method_text(envelope, to_objects)) + numbers;
  if ((envelope.flags & wire::kResend) != 0) text += ", sent again";
  if ((envelope.flags & wire::kReplay) != 0) text += ", made again";
  if (!answers) return text;
  text += envelope.status.ok() ? ": ok" : std::string(": ") + code_name(envelope.status.code);
  if (!envelope.status.ok() && envelope.status.os_error != 0) text += " " + std::to_string(envelope.status.os_error);
  if (envelope.transaction != 0) text += ", transaction " + std::to_string(envelope.transaction);
  return text + ", durable " + std::to_string(envelope.durable);
}

}  // namespace rideau::sim
