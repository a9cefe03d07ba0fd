// SPDX-License-Identifier: Apache-2.0
#include "framework/wire/envelope.hpp"

#include "framework/wire/message.hpp"

#include "framework/wire/envelope.capnp.h"

#include <algorithm>

namespace rideau::wire {
namespace {

constexpr std::size_t kClientNameMax = 256;
constexpr std::size_t kReasonMax = 2048;
constexpr std::size_t kVersionMax = 64;
const Status kBadField{Code::corrupt, 0, "message with a field out of range"};

void put_region(schema::Region::Builder to, const RegionRef& from) {
  to.setKey(capnp::Data::Reader(from.key.bytes, from.key.size));
  to.setSize(from.size);
}

bool get_region(schema::Region::Reader from, RegionRef* to) {
  const auto key = from.getKey();
  if (key.size() > sizeof to->key.bytes) return false;
  to->key.size = static_cast<std::uint8_t>(key.size());
  std::copy(key.begin(), key.end(), to->key.bytes);
  to->size = from.getSize();
  return true;
}

capnp::Data::Reader data_of(const Uuid& uuid) { return {uuid.bytes.data(), uuid.bytes.size()}; }

bool get_uuid(capnp::Data::Reader from, Uuid* to) {
  if (from.size() != to->bytes.size()) return false;
  std::copy(from.begin(), from.end(), to->bytes.begin());
  return true;
}

}  // namespace

void encode(const Envelope& from, Encoded& to) {
  encode_message<schema::Envelope>(to, [&](schema::Envelope::Builder out) {
    out.setKind(static_cast<schema::Kind>(from.kind));
    out.setMethod(from.method);
    out.setFlags(from.flags);
    out.setSlot(from.slot);
    out.setSequence(from.sequence);
    out.setTraceId(from.trace_id);
    out.setDeadlineMs(from.deadline_ms);
    out.setStatus(static_cast<std::int32_t>(from.status.code));
    out.setOsError(from.status.os_error);
    out.setTransaction(from.transaction);
    out.setDurable(from.durable);
    out.setPayloadBytes(from.payload_bytes);
    out.setPayloadChecksum(from.payload_checksum);
    out.setRoom(from.room);
    if (from.source.present()) put_region(out.initSource(), from.source);
    if (from.sink.present()) put_region(out.initSink(), from.sink);
  });
}

Status decode(Bytes head, Envelope* to, Bytes* body) {
  return decode_message<schema::Envelope>(
      head,
      [&](schema::Envelope::Reader in) -> Status {
        const auto kind = static_cast<std::uint16_t>(in.getKind());
        if (kind > static_cast<std::uint16_t>(Kind::goodbye)) return kBadField;
        to->kind = static_cast<Kind>(kind);
        to->method = in.getMethod();
        to->flags = in.getFlags();
        to->slot = in.getSlot();
        to->sequence = in.getSequence();
        to->trace_id = in.getTraceId();
        to->deadline_ms = in.getDeadlineMs();
        const std::int32_t code = in.getStatus();
        if (code < 0 || code > static_cast<std::int32_t>(Code::posix)) return kBadField;
        to->status = {static_cast<Code>(code), in.getOsError(), "answer of the server"};
        to->transaction = in.getTransaction();
        to->durable = in.getDurable();
        to->payload_bytes = in.getPayloadBytes();
        to->payload_checksum = in.getPayloadChecksum();
        to->room = in.getRoom();
        if (to->payload_bytes > limits::kPayloadBytesMax || to->room > limits::kPayloadBytesMax) return kBadField;
        if (in.hasSource() && !get_region(in.getSource(), &to->source)) return kBadField;
        if (in.hasSink() && !get_region(in.getSink(), &to->sink)) return kBadField;
        return kOk;
      },
      body);
}

void encode(const Hello& from, Encoded& to) {
  encode_message<schema::Hello>(to, [&](schema::Hello::Builder out) {
    out.setProtocolMin(from.protocol_min);
    out.setProtocolMax(from.protocol_max);
    out.setCluster(data_of(from.cluster));
    out.setTarget(from.target);
    out.setClient(data_of(from.client));
    const std::string name(from.client_name.substr(0, kClientNameMax));
    out.setClientName(name);
    out.setSession(from.session);
    out.setBootEpoch(from.boot_epoch);
    out.setSlots(from.slots);
    out.setClientTimeNs(from.client_time_ns);
    auto locks = out.initLockSessions(static_cast<unsigned>(from.lock_sessions.size()));
    for (unsigned i = 0; i < from.lock_sessions.size(); ++i) {
      locks[i].setTarget(from.lock_sessions[i].target);
      locks[i].setSession(from.lock_sessions[i].session);
    }
  });
}

Status decode(Bytes body, Hello* to) {
  return decode_message<schema::Hello>(body, [&](schema::Hello::Reader in) -> Status {
    to->protocol_min = in.getProtocolMin();
    to->protocol_max = in.getProtocolMax();
    if (!get_uuid(in.getCluster(), &to->cluster) || !get_uuid(in.getClient(), &to->client)) return kBadField;
    to->target = in.getTarget();
    const auto name = in.getClientName();
    if (name.size() > kClientNameMax) return kBadField;
    to->client_name = {name.begin(), name.size()};
    to->session = in.getSession();
    to->boot_epoch = in.getBootEpoch();
    to->slots = in.getSlots();
    to->client_time_ns = in.getClientTimeNs();
    const auto locks = in.getLockSessions();
    if (locks.size() > kLockSessionsMax) return kBadField;
    to->lock_sessions.clear();
    for (const auto lock : locks) to->lock_sessions.push_back({lock.getTarget(), lock.getSession()});
    return kOk;
  });
}

void encode(const Welcome& from, Encoded& to) {
  encode_message<schema::Welcome>(to, [&](schema::Welcome::Builder out) {
    out.setProtocol(from.protocol);
    out.setSession(from.session);
    out.setBootEpoch(from.boot_epoch);
    out.setTarget(from.target);
    out.setSlots(from.slots);
    out.setResumed(from.resumed);
    out.setServerTimeNs(from.server_time_ns);
    out.setLeaseMs(from.lease_ms);
    out.setDurable(from.durable);
    out.setEagerBytesMax(from.eager_bytes_max);
    const std::string version(from.version.substr(0, kVersionMax));
    out.setVersion(version);
    out.setKeptFrom(from.kept_from);
  });
}

Status decode(Bytes body, Welcome* to) {
  return decode_message<schema::Welcome>(body, [&](schema::Welcome::Reader in) -> Status {
    to->protocol = in.getProtocol();
    to->session = in.getSession();
    to->boot_epoch = in.getBootEpoch();
    to->target = in.getTarget();
    to->slots = in.getSlots();
    to->resumed = in.getResumed();
    to->server_time_ns = in.getServerTimeNs();
    to->lease_ms = in.getLeaseMs();
    to->durable = in.getDurable();
    to->eager_bytes_max = in.getEagerBytesMax();
    const auto version = in.getVersion();
    if (version.size() > kVersionMax) return kBadField;
    to->version = {version.begin(), version.size()};
    to->kept_from = in.getKeptFrom();
    return kOk;
  });
}

void encode(const Refusal& from, Encoded& to) {
  encode_message<schema::Refusal>(to, [&](schema::Refusal::Builder out) {
    const std::string reason(from.reason.substr(0, kReasonMax));
    out.setReason(reason);
    out.setCode(static_cast<std::int32_t>(from.code));
  });
}

Status decode(Bytes body, Refusal* to) {
  return decode_message<schema::Refusal>(body, [&](schema::Refusal::Reader in) -> Status {
    const auto reason = in.getReason();
    if (reason.size() > kReasonMax) return kBadField;
    to->reason = {reason.begin(), reason.size()};
    const std::int32_t code = in.getCode();
    if (code <= 0 || code > static_cast<std::int32_t>(Code::posix)) return kBadField;
    to->code = static_cast<Code>(code);
    return kOk;
  });
}

}  // namespace rideau::wire
