// SPDX-License-Identifier: Apache-2.0
// Goal: envelopes and hellos come back as they were, the body behind them is found in place, and bytes from a hostile
// peer give an error and nothing else.
#include "framework/base/limits.hpp"
#include "framework/wire/envelope.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

namespace rideau::wire {
namespace {

Envelope full_envelope() {
  Envelope envelope;
  envelope.kind = Kind::reply;
  envelope.method = 7;
  envelope.flags = kModifies | kChecksummed;
  envelope.slot = 63;
  envelope.sequence = 1ull << 40;
  envelope.trace_id = 0xfeedfacecafebeef;
  envelope.deadline_ms = 1234;
  envelope.status = {Code::posix, 39, nullptr};
  envelope.transaction = 99;
  envelope.durable = 98;
  envelope.payload_bytes = limits::kPayloadBytesMax;
  envelope.payload_checksum = 0xe3069283;
  envelope.room = 4096;
  envelope.source.key.size = 63;
  std::memset(envelope.source.key.bytes, 0xab, 63);
  envelope.source.size = 12345;
  envelope.sink.key.size = 1;
  envelope.sink.size = 1;
  return envelope;
}

TEST_CASE("an envelope comes back, and the body behind it lies in place") {
  const Envelope sent = full_envelope();
  Encoded head;
  encode(sent, head);
  std::vector<std::uint64_t> message = head.words();
  message.push_back(0x1122334455667788);
  Envelope got;
  Bytes body;
  REQUIRE(decode(Bytes(static_cast<const void*>(message.data()), message.size() * 8), &got, &body).ok());
  CHECK(got.kind == sent.kind);
  CHECK(got.method == sent.method);
  CHECK(got.flags == sent.flags);
  CHECK(got.slot == sent.slot);
  CHECK(got.sequence == sent.sequence);
  CHECK(got.trace_id == sent.trace_id);
  CHECK(got.deadline_ms == sent.deadline_ms);
  CHECK(got.status.code == sent.status.code);
  CHECK(got.status.os_error == sent.status.os_error);
  CHECK(got.transaction == sent.transaction);
  CHECK(got.durable == sent.durable);
  CHECK(got.payload_bytes == sent.payload_bytes);
  CHECK(got.payload_checksum == sent.payload_checksum);
  CHECK(got.room == sent.room);
  CHECK(got.source.size == sent.source.size);
  CHECK(std::memcmp(got.source.key.bytes, sent.source.key.bytes, 63) == 0);
  CHECK(got.sink.present());
  CHECK(body.size == 8);
  CHECK(body.data == reinterpret_cast<const std::uint8_t*>(message.data()) + head.bytes().size);
}

TEST_CASE("hello, welcome and refusal come back") {
  Hello hello;
  hello.cluster.bytes.fill(1);
  hello.client.bytes.fill(2);
  hello.client_name = "host:/mnt";
  hello.session = 5;
  hello.target = 3;
  hello.lock_sessions = {{1, 77}, {2, 1ull << 40}};
  hello.client_time_ns = -5;
  Encoded encoded;
  encode(hello, encoded);
  Hello got;
  REQUIRE(decode(encoded.bytes(), &got).ok());
  CHECK(got.cluster == hello.cluster);
  CHECK(got.client == hello.client);
  CHECK(got.client_name == "host:/mnt");
  CHECK(got.session == 5);
  REQUIRE(got.lock_sessions.size() == 2);
  CHECK(got.lock_sessions[1].target == 2);
  CHECK(got.lock_sessions[1].session == 1ull << 40);
  CHECK(got.client_time_ns == -5);
  hello.lock_sessions.resize(kLockSessionsMax + 1);
  encode(hello, encoded);
  CHECK(decode(encoded.bytes(), &got).code == Code::corrupt);

  Welcome welcome;
  welcome.server_time_ns = -1;
  welcome.version = "0.1.0";
  welcome.resumed = true;
  encode(welcome, encoded);
  Welcome welcomed;
  REQUIRE(decode(encoded.bytes(), &welcomed).ok());
  CHECK(welcomed.server_time_ns == -1);
  CHECK(welcomed.version == "0.1.0");
  CHECK(welcomed.resumed);

  Refusal refusal;
  refusal.reason = "because";
  refusal.code = Code::busy;
  encode(refusal, encoded);
  Refusal refused;
  REQUIRE(decode(encoded.bytes(), &refused).ok());
  CHECK(refused.reason == "because");
  CHECK(refused.code == Code::busy);
}

TEST_CASE("values out of range are refused where valid turns invalid") {
  Envelope envelope = full_envelope();
  envelope.payload_bytes = limits::kPayloadBytesMax + 1;
  Encoded encoded;
  encode(envelope, encoded);
  Envelope got;
  Bytes body;
  CHECK(decode(encoded.bytes(), &got, &body).code == Code::corrupt);
  envelope = full_envelope();
  envelope.status.code = static_cast<Code>(static_cast<int>(Code::posix) + 1);
  encode(envelope, encoded);
  CHECK(decode(encoded.bytes(), &got, &body).code == Code::corrupt);
  CHECK(decode(Bytes(), &got, &body).code == Code::corrupt);
}

TEST_CASE("any bytes decode to something or to an error") {
  std::mt19937_64 chance(20261122);
  Encoded encoded;
  encode(full_envelope(), encoded);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::uint64_t> words = encoded.words();
    auto* bytes = reinterpret_cast<std::uint8_t*>(words.data());
    const int changes = 1 + static_cast<int>(chance() % 8);
    for (int i = 0; i < changes; ++i) bytes[chance() % (words.size() * 8)] = static_cast<std::uint8_t>(chance());
    words.resize(chance() % (words.size() + 1));
    const Bytes message(static_cast<const void*>(words.data()), words.size() * 8);
    Envelope envelope;
    Bytes body;
    const Status status = decode(message, &envelope, &body);
    if (status.ok()) CHECK(body.size <= message.size);
    Hello hello;
    Welcome welcome;
    Refusal refusal;
    static_cast<void>(decode(message, &hello));
    static_cast<void>(decode(message, &welcome));
    static_cast<void>(decode(message, &refusal));
  }
}

}  // namespace
}  // namespace rideau::wire
